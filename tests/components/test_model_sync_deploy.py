"""The deployer of models: what clients get while versions come, fail, go back and go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from components.serving.programs.model_sync import sync
from tests.components.model_sync_world import World, tree


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(sync, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def metric(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"terrace_model_sync_{name}", labels)


def test_nothing_to_deploy_is_well(world: World) -> None:
    world.sync.look()
    assert world.health.problem == ""
    assert metric("registry_up") == metric("server_up") == 1


def test_a_first_version_is_deployed_once(world: World) -> None:
    world.deploy("m", "1")
    assert world.server.loaded["m"] == {None: "1", "1": "1"}
    assert world.registry.states == {("m", "1"): "ready"}
    assert (world.health.problem, world.health.served, world.health.failed) == ("", {"m": "1"}, {})
    assert metric("served_version", model="m") == 1
    loads = len(world.server.history)
    world.sync.look()
    assert len(world.server.history) == loads, "what is served stays untouched"
    assert world.registry.downloads == ["1"]


def test_another_version_takes_its_place_without_a_gap(world: World) -> None:
    world.deploy("m", "1")
    world.server.history.clear()
    world.deploy("m", "2")
    assert world.server.history[0] == "1", "the new version is tried beside the served one first"
    assert world.server.history[-1] == "2"
    assert world.server.loaded["m"] == {None: "2", "2": "2", "1": "1"}, "version 1 is kept for a way back"
    assert world.registry.states == {("m", "2"): "ready"}, "version 1 is no longer called ready"
    assert tree(world.settings.models / "m") == ["1", "2", "default"]
    world.deploy("m", "3")
    assert world.server.loaded["m"] == {None: "3", "3": "3", "2": "2"}


def test_a_version_before_that_cannot_be_loaded_any_more_is_let_go(world: World) -> None:
    world.deploy("m", "1")
    world.deploy("m", "2")
    world.server.restart()
    world.server.broken.add("1")
    world.sync.look()
    assert world.server.loaded["m"] == {None: "2", "2": "2"}
    assert tree(world.settings.models / "m") == ["2", "default"]


def test_models_without_an_example_are_deployed(world: World) -> None:
    world.example = None
    world.server.mute = {"2"}
    world.deploy("m", "1")
    world.deploy("m", "2")
    assert world.served("m") == "2"


@pytest.mark.parametrize("way", ["broken", "mute"])
def test_a_version_that_fails_never_takes_the_place(world: World, way: str) -> None:
    world.deploy("m", "1")
    before = world.server.loaded["m"]
    world.server.history.clear()
    getattr(world.server, way).add("2")
    world.deploy("m", "2")
    assert set(world.server.history) == {"1"}
    assert world.server.loaded["m"] == before
    assert tree(world.settings.models / "m") == ["1", "default"]
    assert world.registry.states == {("m", "1"): "ready", ("m", "2"): "failed"}
    assert "2" in world.registry.errors["m", "2"]
    assert (world.health.problem, world.health.served, world.health.failed) == ("", {"m": "1"}, {"m": "2"})
    assert metric("failed", model="m", version="2") == 1
    assert metric("served_version", model="m") == 1


@pytest.mark.parametrize("way", ["broken", "mute"])
def test_a_first_version_that_fails_leaves_nothing(world: World, way: str) -> None:
    getattr(world.server, way).add("1")
    world.deploy("m", "1")
    assert world.server.loaded == {}
    assert tree(world.settings.models) == []
    assert world.registry.states == {("m", "1"): "failed"}
    assert world.health.failed == {"m": "1"}


def test_a_default_that_does_not_move_is_rolled_back(world: World) -> None:
    world.deploy("m", "1")
    world.server.stuck = True
    world.deploy("m", "2")
    assert world.registry.errors["m", "2"] == "MLServer still answers with version 1"
    assert world.health.served == {"m": "1"}


def test_a_failed_version_is_tried_again_after_a_while(world: World, clock: SimpleNamespace) -> None:
    world.deploy("m", "1")
    world.server.broken.add("2")
    world.deploy("m", "2")
    world.server.broken.clear()
    clock.now += world.settings.retry - 1
    world.sync.look()
    assert world.served("m") == "1"
    clock.now += 1
    world.sync.look()
    assert world.served("m") == "2"
    assert world.health.failed == {}
    assert metric("failed", model="m", version="2") is None


def test_another_version_is_tried_at_once_after_one_failed(world: World, clock: SimpleNamespace) -> None:
    world.server.broken.add("1")
    world.deploy("m", "1")
    world.deploy("m", "2")
    assert world.served("m") == "2"
    assert world.health.failed == {}


def test_going_back_to_the_served_version_ends_the_failure(world: World) -> None:
    world.deploy("m", "1")
    world.server.broken.add("2")
    world.deploy("m", "2")
    world.deploy("m", "1")
    assert (world.served("m"), world.health.failed) == ("1", {})
    assert metric("failed", model="m", version="2") is None


def test_taking_the_alias_from_a_version_that_never_worked_ends_the_failure(world: World) -> None:
    world.server.broken.add("1")
    world.deploy("m", "1")
    world.registry.pins.clear()
    world.sync.look()
    assert world.health.failed == {}


def test_a_model_without_the_alias_is_retired(world: World) -> None:
    world.deploy("m", "1")
    world.deploy("n", "1")
    del world.registry.pins["m"]
    world.sync.look()
    assert list(world.server.loaded) == ["n"]
    assert tree(world.settings.models) == ["n"]
    assert world.registry.states == {("n", "1"): "ready"}
    assert metric("served_version", model="m") is None
    world.deploy("m", "1")
    assert world.served("m") == "1"


def test_a_registry_that_is_away_changes_nothing_and_is_said(world: World) -> None:
    world.deploy("m", "1")
    world.registry.away = True
    world.sync.look()
    assert world.served("m") == "1"
    assert world.health.problem == "the registry does not answer: no route to host"
    assert world.health.served == {"m": "1"}
    assert (metric("registry_up"), metric("server_up")) == (0, 1)
    world.server.restart()
    world.sync.look()
    assert world.served("m") == "1", "a restarted MLServer gets its models without the registry"
    world.registry.away = False
    world.sync.look()
    assert world.health.problem == ""
    assert metric("registry_up") == 1


def test_nothing_is_deployed_while_the_registry_is_away(world: World) -> None:
    world.deploy("m", "1")
    world.restart()
    world.registry.away = True
    world.server.history.clear()
    world.sync.look()
    assert world.server.history == []
    assert world.health.served == {"m": "1"}


def test_failures_outlast_a_registry_that_is_away(world: World) -> None:
    world.server.broken.add("1")
    world.deploy("m", "1")
    world.registry.away = True
    world.sync.look()
    assert world.health.failed == {"m": "1"}


def test_a_restarted_server_gets_its_models_again(world: World) -> None:
    world.deploy("m", "1")
    world.server.restart()
    world.sync.look()
    assert world.server.loaded["m"] == {None: "1", "1": "1"}


def test_a_server_that_is_away_is_said(world: World) -> None:
    world.server.up = False
    world.deploy("m", "1")
    assert world.health.problem == "MLServer does not answer: connection refused"
    assert (metric("registry_up"), metric("server_up")) == (1, 0)
    world.server.up = True
    world.sync.look()
    assert world.served("m") == "1"


def test_a_server_that_is_not_live_is_waited_for(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.server, "live", lambda: False)
    world.deploy("m", "1")
    assert world.health.problem == "MLServer does not answer: it is not live yet"
    assert world.registry.states == {}


def test_a_version_that_lost_its_place_is_loaded_once_more(world: World) -> None:
    world.server.wrong_order = 2
    world.deploy("m", "1")
    assert world.server.loaded["m"] == {None: "1", "1": "1"}


def test_a_model_that_never_gets_ready_fails(world: World) -> None:
    world.deploy("m", "1")
    world.server.never_ready = True
    world.deploy("m", "2")
    assert world.registry.errors["m", "2"] == "MLServer loads the model but does not make it ready"
    assert world.served("m") == "1"
    world.sync.look()
    assert world.health.problem == "", "it goes on with what can be had"


def test_a_restarted_deployer_makes_sure_of_what_is_served(world: World) -> None:
    world.deploy("m", "1")
    world.restart()
    world.sync.look()
    assert world.served("m") == "1"
    assert world.registry.downloads == ["1"]
    assert world.registry.states == {("m", "1"): "ready"}


def test_one_models_surprise_does_not_stop_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy("a", "1")
    answer = world.server.answer

    def surprising(name: str, version: str | None, request: str) -> dict[str, Any]:
        if name == "a":
            raise KeyError("model_version")
        return answer(name, version, request)

    monkeypatch.setattr(world.server, "answer", surprising)
    world.registry.pins = {"a": "2", "b": "1"}
    world.sync.look()
    assert world.registry.errors["a", "2"] == "KeyError: 'model_version'"
    assert (world.served("a"), world.served("b")) == ("1", "1")


def test_a_server_that_dies_under_a_deployment_fails_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.deploy("m", "1")
    monkeypatch.setattr(world.server, "answer", lambda *_: setattr(world.server, "up", False) or world.server.live())
    world.deploy("m", "2")
    assert world.registry.errors["m", "2"] == "connection refused"
    assert world.health.served == {"m": "1"}
    monkeypatch.undo()
    world.server.up = True
    world.server.restart()
    world.sync.look()
    assert world.served("m") == "1"
