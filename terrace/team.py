"""Who is on the team, and what each of them may do. Pure: nothing here imports Pulumi or touches a machine.

A slot gets the people as `Inputs.people` (components/base.py), each with an account and a :class:`Member`:

    readers = [person for person in inputs.people if person.member.may("tracking", "read")]
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import get_args

from terrace.rights import Right, RightsTable, includes
from terrace.spec import Role, Team


@dataclass(frozen=True)
class Member:
    """A person of the team with all that follows from the spec.

    Attributes:
        name: The account's name.
        email: Where notices go.
        groups: The groups that they are in, in alphabetical order.
        roles: Their own roles and those of their groups, in the order of :data:`terrace.spec.Role`.
        rights: Slot → the highest right that a role gives; slots where it is nothing are left out.
    """

    name: str
    email: str | None
    groups: tuple[str, ...]
    roles: tuple[Role, ...]
    rights: Mapping[str, Right]

    def right(self, slot: str) -> Right:
        """Return the highest right in ``slot``."""
        return self.rights.get(slot, "none")

    def may(self, slot: str, needed: Right) -> bool:
        """Return whether they may do what needs ``needed`` in ``slot``."""
        return includes(self.right(slot), needed)


def members(team: Team, slots: Collection[str], table: RightsTable | None = None) -> tuple[Member, ...]:
    """Return everybody on the team, in alphabetical order, with their rights in those of ``slots`` that have any."""
    rights = table or RightsTable.load()
    return tuple(_member(name, team, slots, rights) for name in sorted(team.people))


def _member(name: str, team: Team, slots: Collection[str], table: RightsTable) -> Member:
    person = team.people[name]
    groups = tuple(sorted(group for group, content in team.groups.items() if name in content.members))
    held = {*person.roles, *(role for group in groups for role in team.groups[group].roles)}
    roles = tuple(role for role in get_args(Role) if role in held)
    rights = {slot: right for slot, right in table.of(roles).items() if slot in slots}
    return Member(name, person.email, groups, roles, rights)
