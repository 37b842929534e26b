"""From a spec to a blueprint: what each value is, and where it came from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from terrace.errors import InputErrors, Location
from terrace.resolve import Blueprint, Origin, resolve
from terrace.spec import Practice
from terrace.tiers import TierTable
from tests.unit.fake_flavors import FakeCatalog, flavor, load, stack, table

CATALOG = FakeCatalog(
    flavor("serving", "big", options={"port": 3000, "workers": 8}, requires=("storage",)),
    flavor("serving", "small", options={"port": 3000, "workers": 1, "size": 1}, requires=("storage",)),
    flavor("storage", "folder", options={"port": 4000, "admin_port": 4001, "transport": 4000}),
    flavor("storage", "bucket", supports=("kubernetes",)),
)
TIERS = table(
    serving={
        "from_tier": 2,
        "flavors": {"host": "small", "kubernetes": "small"},
        "settings": {3: {"workers": 2, "size": 3}, 5: {"workers": 4}},
    },
    storage={"from_tier": 1, "flavors": {"host": "folder"}},
)


def blueprint(folder: Path, text: str, catalog: Any = CATALOG, tiers: TierTable = TIERS) -> Blueprint:
    return resolve(load(folder, text, catalog, tiers), tiers, catalog)


def messages(folder: Path, text: str, catalog: Any = CATALOG, tiers: TierTable = TIERS) -> list[str]:
    with pytest.raises(InputErrors) as caught:
        blueprint(folder, text, catalog, tiers)
    return [str(error) for error in caught.value.errors]


def at(line: int, column: int) -> Origin:
    return Origin("written", "stack file", Location("Pulumi.case.yaml", line, column))


@pytest.mark.parametrize(
    ("tier", "slots"), [(1, ["storage"]), (2, ["serving", "storage"]), (5, ["serving", "storage"])]
)
def test_a_slot_is_there_from_its_tier_on(tmp_path: Path, tier: int, slots: list[str]) -> None:
    assert list(blueprint(tmp_path, stack(tier=tier)).slots) == slots


@pytest.mark.parametrize(("tier", "workers", "size"), [(2, 1, 1), (3, 2, 3), (4, 2, 3), (5, 4, 3)])
def test_the_highest_tier_that_sets_an_option_wins(tmp_path: Path, tier: int, workers: int, size: int) -> None:
    spec: Any = blueprint(tmp_path, stack(tier=tier)).slots["serving"]

    assert (spec.workers, spec.size) == (workers, size)


def test_each_value_knows_where_it_came_from(tmp_path: Path) -> None:
    found = blueprint(tmp_path, stack("serving: {size: 7}\npractices:\n  ci_cd: {tier: 5}", tier=5)).origins

    assert found["tier"] == at(2, 17)
    assert found["target"] == at(3, 19)
    assert found["serving.flavor"] == Origin("target", "default on target host")
    assert found["serving.size"] == at(5, 21)
    assert found["serving.workers"] == Origin("tier", "tier 5 sets it")
    assert found["serving.port"] == Origin("default", "default of serving/small")
    assert found["practices.ci_cd"] == at(7, 14)
    assert found["practices.collaboration"] == Origin("tier", "tier 5")


def test_a_tier_s_settings_are_those_of_its_default_flavor(tmp_path: Path) -> None:
    found = blueprint(tmp_path, stack("serving: {flavor: big}", tier=5))

    assert found.slots["serving"].model_dump() == {"flavor": "big", "port": 3000, "workers": 8}
    assert found.origins["serving.flavor"] == at(5, 23)
    assert found.origins["serving.workers"] == Origin("default", "default of serving/big")


def test_the_default_flavor_follows_the_practices_tier(tmp_path: Path) -> None:
    """A flavor's options are checked as those of the flavor that will be there."""
    tiers = table(
        serving={"from_tier": 1, "flavors": {"host": {1: "small", 3: "big"}}},
        storage={"from_tier": 1, "flavors": {"host": "folder"}},
    )
    raised = "practices:\n  model_deployment: {tier: 4}"

    def found(text: str, tier: int) -> str:
        return blueprint(tmp_path, stack(text, tier=tier), tiers=tiers).slots["serving"].flavor

    assert [found("serving: {workers: 1}", tier) for tier in (1, 2, 3, 5)] == ["small", "small", "big", "big"]
    assert found(raised, 1) == "big"
    origins = blueprint(tmp_path, stack(tier=4), tiers=tiers).origins
    assert origins["serving.flavor"] == Origin("tier", "default on target host from tier 3")
    assert found("serving: {size: 1}", 2) == "small"
    assert "unknown key 'size'" in messages(tmp_path, stack("serving: {size: 1}", tier=3), tiers=tiers)[0]
    broken = messages(tmp_path, stack("serving: {size: 1}\nname: 7", tier=3), tiers=tiers)
    assert [message for message in broken if "unknown key 'size'" in message], "though the rest is wrong too"


def test_what_is_written_wins_even_where_it_is_the_default(tmp_path: Path) -> None:
    found = blueprint(tmp_path, stack("serving: {workers: 1}", tier=5))
    spec: Any = found.slots["serving"]

    assert spec.workers == 1
    assert found.origins["serving.workers"].kind == "written"


def test_every_practice_has_the_tier_or_its_own(tmp_path: Path) -> None:
    found = blueprint(tmp_path, stack("practices:\n  ci_cd: {tier: 5}", tier=3))

    assert list(found.practices) == list(get_args(Practice))
    assert {practice for practice, tier in found.practices.items() if tier == 5} == {"ci_cd"}
    assert set(found.practices.values()) == {3, 5}


def test_a_blueprint_shows_its_spec(tmp_path: Path) -> None:
    found = blueprint(tmp_path, stack("name: ours\nnetwork: {proxy: http://proxy}"))

    assert (found.environment, found.name, found.tier, found.target) == ("case", "ours", 3, "host")
    assert found.network.proxy == "http://proxy"
    assert [host.address for host in found.hosts] == ["127.0.0.1"]


def test_a_slot_without_a_flavor_on_the_target_is_told_once(tmp_path: Path) -> None:
    """`serving` requires `storage`, whose lack is told already."""
    assert messages(tmp_path, stack(target="kubernetes")) == [
        "Pulumi.case.yaml:3:19: terrace:target: 'kubernetes' has no flavor yet of what tier 3 or the file asks: "
        "serving, storage\n  fix: Choose target `host`."
    ]


def test_a_required_slot_that_is_nowhere_is_told(tmp_path: Path) -> None:
    tiers = table(serving={"from_tier": 1, "flavors": {"host": "small"}})

    assert messages(tmp_path, stack("name: a\nserving: {size: 2}"), tiers=tiers) == [
        "Pulumi.case.yaml:6:5: serving.flavor 'small' requires the slot 'storage', which this platform lacks\n"
        "  fix: Add `storage: {flavor: …}` to terrace:platform."
    ]


def test_writing_a_required_slot_is_the_fix(tmp_path: Path) -> None:
    tiers = table(serving={"from_tier": 1, "flavors": {"host": "small"}})

    assert list(blueprint(tmp_path, stack("storage: {flavor: folder}"), tiers=tiers).slots) == ["serving", "storage"]


def test_ports_are_apart_and_the_written_one_is_told(tmp_path: Path) -> None:
    """Two defaults, one of them moved onto the other; `transport` is no port."""
    assert messages(tmp_path, stack("serving: {port: 4001}\nstorage: {port: 3001}")) == [
        "Pulumi.case.yaml:5:21: serving.port: port 4001 is storage.admin_port's already"
    ]
    assert messages(tmp_path, stack("storage: {admin_port: 3000}")) == [
        "Pulumi.case.yaml:5:27: storage.admin_port: port 3000 is serving.port's already"
    ]


def test_a_port_taken_thrice_names_who_has_it(tmp_path: Path) -> None:
    assert messages(tmp_path, stack("serving: {port: 5000}\nstorage: {port: 5000, admin_port: 5000}")) == [
        "Pulumi.case.yaml:6:21: storage.port: port 5000 is serving.port's already",
        "Pulumi.case.yaml:6:39: storage.admin_port: port 5000 is serving.port's already",
    ]


def test_resolving_is_pure(tmp_path: Path) -> None:
    loaded = load(tmp_path, stack("serving: {size: 2}"), CATALOG, TIERS)
    before = loaded.spec.model_copy(deep=True)

    assert resolve(loaded, TIERS, CATALOG) == resolve(loaded, TIERS, CATALOG)
    assert loaded.spec == before
