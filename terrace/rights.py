"""The table of rights: what each role may do in each slot. Data, with a typed reader."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import Field, model_validator
from ruamel.yaml import YAML

from terrace.spec import Model, Role
from terrace.spec_base import Name

TABLE = Path(__file__).parents[1] / "components" / "rights.yaml"

Right = Literal["none", "read", "use", "edit", "manage"]
RIGHTS: tuple[Right, ...] = get_args(Right)  # each includes those before it


def includes(held: Right, needed: Right) -> bool:
    """Return whether who holds the right ``held`` may do what needs ``needed``."""
    return RIGHTS.index(held) >= RIGHTS.index(needed)


def including(needed: Right) -> tuple[Right, ...]:
    """Return the rights that allow what needs ``needed``."""
    return RIGHTS[RIGHTS.index(needed) :]


def highest(rights: Iterable[Right]) -> Right:
    """Return the highest of several rights; of no right at all, ``none``."""
    return max(rights, key=RIGHTS.index, default="none")


class SlotRights(Model):
    """One slot's rights: what they allow there, and which roles have them."""

    means: Mapping[Right, str] = Field(min_length=1, description="What each right that the slot knows allows.")
    roles: Mapping[Right, tuple[Role, ...]] = Field(description="The roles by the highest right that they have.")

    @model_validator(mode="after")
    def _each_role_once(self) -> Self:
        unknown = set(self.roles) - set(self.means)
        if unknown:
            raise ValueError(f"roles have rights that the slot does not know: {', '.join(sorted(unknown))}")
        named = [role for roles in self.roles.values() for role in roles]
        twice = sorted({role for role in named if named.count(role) > 1})
        if twice:
            raise ValueError(f"roles are named twice: {', '.join(twice)}")
        return self

    def right(self, role: Role) -> Right:
        """Return the highest right that a role has."""
        return next((right for right, roles in self.roles.items() if role in roles), "none")


class RightsTable(Model):
    """The whole table, as `components/rights.yaml` holds it."""

    reserved: tuple[Name, ...] = Field(description="Account names that no person can have.")
    cluster: SlotRights = Field(description="Rights in the namespace itself, on Kubernetes.")
    slots: Mapping[str, SlotRights]

    @staticmethod
    @lru_cache(maxsize=1)
    def load(file: Path = TABLE) -> RightsTable:
        """Read the table.

        Raises:
            pydantic.ValidationError: The file is not a table of rights (a defect of Terrace).
        """
        return RightsTable.model_validate(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))

    def of(self, roles: Iterable[Role]) -> dict[str, Right]:
        """Return what somebody with these roles may do: slot → right, without the slots where it is nothing."""
        held = tuple(roles)
        found = {slot: highest(rights.right(role) for role in held) for slot, rights in self.slots.items()}
        return {slot: right for slot, right in found.items() if right != "none"}
