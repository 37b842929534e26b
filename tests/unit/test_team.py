"""Who is on the team, and what follows from their roles."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from terrace.catalog import Catalog
from terrace.rights import RIGHTS, RightsTable, SlotRights, highest, includes, including
from terrace.spec import Group, Person, Role, Team
from terrace.team import members

TABLE = RightsTable.load()


def test_a_right_includes_those_before_it() -> None:
    assert [[includes(held, needed) for needed in RIGHTS] for held in RIGHTS] == [
        [column <= row for column in range(5)] for row in range(5)
    ]
    assert including("edit") == ("edit", "manage")
    assert highest(("use", "none", "edit", "read")) == "edit"
    assert highest(()) == "none"


def test_the_table_names_slots_and_gives_every_role_something() -> None:
    assert TABLE.slots.keys() <= Catalog().flavors.keys()
    assert [role for role in get_args(Role) if not TABLE.of([role])] == []
    for name, slot in TABLE.slots.items():
        assert [right for right in slot.means if right not in slot.roles] == [], f"nobody has a right of {name}"


def test_who_moves_the_production_alias_is_decided_here() -> None:
    may = {role for role in get_args(Role) if includes(TABLE.slots["registry"].right(role), "edit")}
    assert may == {"ml_engineer", "manager", "deployment_lead"}


@pytest.mark.parametrize(
    ("roles", "why"),
    [
        ({"edit": ["manager"]}, "rights that the slot does not know: edit"),
        ({"read": ["manager"], "use": ["manager"]}, "named twice: manager"),
    ],
)
def test_a_wrong_table_is_refused(roles: dict[str, list[str]], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        SlotRights.model_validate({"means": {"read": "See it.", "use": "Use it."}, "roles": roles})


def test_a_person_has_the_highest_right_of_own_roles_and_groups() -> None:
    team = Team(
        people={"one": Person(roles=("manager",), email="one@example.org"), "two": Person()},
        groups={
            "science": Group(roles=("data_scientist",), members=("one",)),
            "labels": Group(roles=("labelling_expert",), members=("one",)),
        },
    )

    one, two = members(team, TABLE.slots)

    assert (one.name, one.email, one.groups) == ("one", "one@example.org", ("labels", "science"))
    assert one.roles == ("data_scientist", "labelling_expert", "manager")
    assert (one.right("tracking"), one.right("registry"), one.right("data_versioning")) == ("edit", "edit", "edit")
    assert one.may("registry", "use")
    assert not one.may("registry", "manage")
    assert (two.roles, two.rights, two.right("tracking")) == ((), {}, "none")


def test_there_are_no_rights_in_slots_that_are_not_there() -> None:
    team = Team(people={"one": Person(roles=("ml_engineer",))})

    (one,) = members(team, ("tracking", "gateway"))

    assert one.rights == {"tracking": "manage"}
