"""The deployer of models: which files and libraries are let through, and how long they stay."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.components.model_sync_world import World, tree


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_files_that_changed_are_not_deployed_and_the_version_stays_loaded(world: World) -> None:
    world.deploy("m", "1")
    (world.files("m", "1") / "MLmodel").write_text("other")
    world.restart()
    world.sync.look()
    assert "changed on disk" in world.registry.errors["m", "1"]
    assert world.served("m") == "1"


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ({"requirements": None}, "names no requirements"),
        ({"requirements": "-r other.txt"}, "may name packages only"),
        ({"model": {"flavors": {"python_function": {"loader_module": "evil"}}}}, "loaded by evil"),
    ],
)
def test_a_version_that_is_refused_is_never_loaded(world: World, model: dict[str, Any], reason: str) -> None:
    world.registry.models["1"] = model
    world.deploy("m", "1")
    assert reason in world.registry.errors["m", "1"]
    assert world.server.history == []


def test_libraries_that_cannot_be_installed_fail_the_version(world: World) -> None:
    world.settings.uv.with_name("uv.fails").touch()
    world.deploy("m", "1")
    assert "no solution found" in world.registry.errors["m", "1"]


def test_old_files_and_libraries_go(world: World) -> None:
    for version in ("1", "2", "3", "4"):
        world.registry.models[version] = {"requirements": f"skops==0.{version}"}
        world.deploy("m", version)
    assert tree(world.settings.artifacts / "m") == ["2", "3", "4"]
    needed = {file.read_text() for file in world.settings.artifacts.glob("m/*/environment")}
    assert len(needed) == 3
    assert set(tree(world.settings.environments)) == needed | {f"{name}.txt" for name in needed}


def test_the_served_version_keeps_its_files_however_old_it_is(world: World) -> None:
    world.registry.models["1"] = {"requirements": "skops==0.1"}
    world.deploy("m", "1")
    world.server.broken = {"2", "3", "4", "5"}
    for version in ("2", "3", "4", "5"):
        world.deploy("m", version)
    os.utime(world.files("m", "1").parent, (0, 0))
    world.deploy("n", "9")
    assert "1" in tree(world.settings.artifacts / "m")
    world.server.restart()
    world.sync.look()
    assert world.served("m") == "1"
