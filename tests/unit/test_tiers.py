"""The tier table is whole, and everything that it names is there."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from pydantic import ValidationError

from terrace.catalog import Catalog
from terrace.spec import Practice
from terrace.spec_host import HostConfiguration
from terrace.tiers import TABLE, Evidence, TierTable
from tests.unit.fake_flavors import FakeCatalog, flavor, table

ROOT = Path(__file__).parents[2]
TIERS = TierTable.load()
CELLS = [(practice, tier, cell) for practice, row in TIERS.practices.items() for tier, cell in row.cells.items()]


def test_fifteen_practices_of_five_tiers() -> None:
    assert list(TIERS.practices) == list(get_args(Practice))
    assert len(TIERS.practices) == 15
    assert list(TIERS.tiers) == [1, 2, 3, 4, 5]
    assert {tuple(row.cells) for row in TIERS.practices.values()} == {(1, 2, 3, 4, 5)}


def test_practices_belong_to_known_processes_and_principles() -> None:
    assert {name for row in TIERS.practices.values() for name in row.processes} == set(TIERS.processes)
    assert {name for row in TIERS.practices.values() for name in row.principles} == set(TIERS.principles)


def test_every_slot_has_flavors_that_run_where_they_are_the_default() -> None:
    catalog = Catalog()

    assert set(TIERS.slots) == set(catalog.flavors)
    for slot, row in TIERS.slots.items():
        assert row.flavors
        for target, names in row.flavors.items():
            for name in names.values():
                assert target in catalog.component(slot, name).supports, f"{slot}: {name} on {target}"


def test_every_setting_is_an_option_with_an_allowed_value() -> None:
    catalog = Catalog()

    for slot, row in TIERS.slots.items():
        for settings in row.settings.values():
            for name in {name for names in row.flavors.values() for name in names.values()}:
                catalog.spec_type(slot, name).model_validate(dict(settings))


@pytest.mark.parametrize(("practice", "tier", "cell"), CELLS)
def test_evidence_names_one_thing_that_is_there(practice: str, tier: int, cell: object) -> None:
    for evidence in cell.evidence:  # type: ignore[attr-defined]  # a Cell; its repr would be the test's name
        assert len(evidence.model_dump(exclude_none=True)) == 1
        assert evidence.configure is None or evidence.configure in HostConfiguration.model_fields
        if evidence.slot:
            assert TIERS.slots[evidence.slot].from_tier <= tier
        if evidence.file:
            assert (ROOT / evidence.file).is_file()
        if evidence.test:
            file, _, function = evidence.test.partition("::")
            assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")


def test_what_a_tier_sets() -> None:
    tiers = table(a={"from_tier": 2, "flavors": {"host": "x"}, "settings": {4: {"n": 4}, 2: {"n": 2, "m": 1}}})

    assert tiers.settings("a", {"model_deployment": 1}) == {}
    assert tiers.settings("a", {"model_deployment": 3}) == {"n": (2, 2), "m": (1, 2)}
    assert tiers.settings("a", {"model_deployment": 5}) == {"n": (4, 4), "m": (1, 2)}
    assert tiers.settings("absent", {}) == {}


def test_the_default_flavor_of_a_target_may_change_with_the_tier() -> None:
    tiers = table(a={"from_tier": 1, "flavors": {"host": "x", "aws": {1: "x", 3: "y"}, "kubernetes": {4: "z"}}})

    practice = tiers.slots["a"].practice

    def found(target: str, slot: str = "a") -> list[str | None]:
        levels = ({practice: tier}.__getitem__ for tier in (1, 2, 3, 5))
        return [tiers.default_flavor(slot, target, level) for level in levels]

    assert found("host") == ["x", "x", "x", "x"]
    assert found("aws") == ["x", "x", "y", "y"]
    assert found("kubernetes") == [None, None, None, "z"]
    assert found("moon") == found("host", "absent") == [None] * 4


def test_flavors_on_a_target() -> None:
    catalog = FakeCatalog(flavor("a", "x"), flavor("a", "y", supports=("aws",)))

    assert TIERS.flavors_on("a", "host", catalog) == ("x",)  # type: ignore[arg-type]  # stands for a catalog
    assert TIERS.flavors_on("a", "kubernetes", catalog) == ()  # type: ignore[arg-type]
    assert TIERS.flavors_on("a", "moon", catalog) == ("x", "y")  # type: ignore[arg-type]


def test_evidence_is_shown_by_what_it_names() -> None:
    assert str(Evidence(slot="serving")) == "slot serving"
    assert str(Evidence(test="tests/a.py::test_b")) == "tests/a.py::test_b"
    assert str(Evidence(file="README.md")) == "README.md"
    assert str(Evidence(configure="firewall")) == "hosts.configure.firewall"


@pytest.mark.parametrize(
    ("old", "new"), [("  ci_cd:\n", "  cicd:\n"), ("from_tier: 1", "from_tier: 0"), ("principles:", "principle:")]
)
def test_a_broken_table_does_not_load(tmp_path: Path, old: str, new: str) -> None:
    text = TABLE.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "tiers.yaml").write_text(text.replace(old, new, 1))

    with pytest.raises(ValidationError):
        TierTable.load.__wrapped__(tmp_path / "tiers.yaml")
