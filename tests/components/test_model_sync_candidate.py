"""The deployer of models: the candidate beside production, what was in production before, and libraries built aside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from components.serving.programs.model_sync import history, places
from tests.components.model_sync_world import World, tree


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_candidate_is_served_beside_production(world: World) -> None:
    world.deploy("m", "1")
    world.registry.pins["m:candidate"] = "2"
    world.sync.look()
    assert (world.served("m"), world.served("m:candidate")) == ("1", "2")
    assert world.registry.states == {("m", "1"): "ready", ("m:candidate", "2"): "ready"}
    assert world.registry.moves == {"m": ["1"]}, "a candidate was never in production"
    assert tree(world.settings.artifacts) == ["m"]


def test_a_candidate_that_fails_leaves_production_alone(world: World) -> None:
    world.deploy("m", "1")
    world.server.history.clear()
    world.server.broken.add("2")
    world.registry.pins["m:candidate"] = "2"
    world.sync.look()
    assert (world.served("m"), world.served("m:candidate")) == ("1", None)
    assert world.server.history == []
    assert world.health.failed == {"m:candidate": "2"}


def test_a_candidate_that_is_promoted_is_downloaded_once_and_leaves_its_place(world: World) -> None:
    world.deploy("m", "1")
    world.registry.pins["m:candidate"] = "2"
    world.sync.look()
    world.registry.pins = {"m": "2"}
    world.sync.look()
    assert world.registry.downloads == ["1", "2"]
    assert (world.served("m"), world.served("m:candidate")) == ("2", None)
    assert world.registry.moves == {"m": ["1", "2"]}


def test_a_version_that_never_was_served_is_not_in_the_history(world: World) -> None:
    world.deploy("m", "1")
    world.server.broken.add("2")
    world.deploy("m", "2")
    world.deploy("m", "3")
    assert world.registry.moves == {"m": ["1", "3"]}


def test_the_version_before_keeps_its_files_however_many_candidates_came(world: World) -> None:
    world.deploy("m", "1")
    world.deploy("m", "2")
    for version in ("3", "4", "5", "6"):
        world.registry.pins["m:candidate"] = version
        world.deploy("m", "2")
    assert {"1", "2", "6"} <= set(tree(world.settings.artifacts / "m"))


def test_a_rollback_does_not_wait_for_anothers_libraries(world: World) -> None:
    world.deploy("m", "1")
    world.deploy("m", "2")
    world.registry.models["3"] = {"requirements": "skops==0.3"}
    world.executor.waits = True
    world.registry.pins["m:candidate"] = "3"
    world.sync.look()
    assert world.registry.states["m:candidate", "3"] == "deploying"
    world.deploy("m", "1")
    assert (world.served("m"), world.served("m:candidate")) == ("1", None)
    world.executor.work()
    world.sync.look()
    assert world.served("m:candidate") == "3"


def test_what_is_served_is_held_while_libraries_are_built(world: World) -> None:
    world.deploy("m", "1")
    world.registry.models["2"] = {"requirements": "skops==0.2"}
    world.executor.waits = True
    world.deploy("m", "2")
    world.server.restart()
    world.sync.look()
    assert world.served("m") == "1"
    assert world.health.failed == {}


def test_libraries_that_nobody_waits_for_any_more_do_no_harm(world: World) -> None:
    world.deploy("m", "1")
    world.registry.models["2"] = {"requirements": "skops==0.2"}
    world.settings.uv.with_name("uv.fails").touch()
    world.executor.waits = True
    world.deploy("m", "2")
    world.deploy("m", "1")
    world.executor.work()
    world.sync.look()
    assert (world.served("m"), world.health.failed) == ("1", {})


def test_places_are_told_apart() -> None:
    assert places.candidate("a model") == "a model:candidate"
    assert (places.model_of("m"), places.model_of("m:candidate")) == ("m", "m")
    assert (places.is_candidate("m-candidate"), places.is_candidate("m:candidate")) == (False, True)


def _moves(*steps: str) -> tuple[history.Move, ...]:
    """Return a history made of ``3`` (promoted) and ``<2`` (rolled back to)."""
    tags: dict[str, str] = {}
    for step in steps:
        version = step.removeprefix("<")
        how = history.ROLLBACK if step.startswith("<") else "promote"
        tags[history.REQUEST_TAG] = history.request(version, "ada", how)
        tags[history.HISTORY_TAG] = history.write(history.moved(tags, version, "2026-01-01T00:00:00+00:00"))
    return history.read(tags)


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ([], None),
        (["1"], None),
        (["1", "2"], "1"),
        (["1", "2", "<1"], None),
        (["1", "2", "3", "<2"], "1"),
        (["1", "2", "3", "<2", "<1"], None),
        (["1", "2", "<1", "3"], "1"),
        (["1", "2", "1"], "2"),
    ],
)
def test_a_rollback_goes_back_step_by_step(steps: list[str], target: str | None) -> None:
    assert history.before(_moves(*steps)) == target


def test_the_history_says_who_moved_the_alias_where_they_said_so() -> None:
    tags = {history.REQUEST_TAG: history.request("2", "ada", "promote")}
    assert (history.moved(tags, "2", "now")[-1].by, history.moved(tags, "3", "now")[-1].by) == ("ada", "unknown")


@pytest.mark.parametrize("tag", ["not JSON", "{}", "[1]", '[{"unknown": 1}]'])
def test_a_history_that_nobody_can_read_counts_as_none(tag: str) -> None:
    assert history.read({history.HISTORY_TAG: tag}) == ()
    assert history.moved({history.REQUEST_TAG: tag}, "1", "now")[-1].by == "unknown"


def test_a_history_stays_short() -> None:
    assert len(json.loads(history.write(_moves(*map(str, range(80)))))) == history.KEPT_MOVES
