"""Whose a served model is: recorded in the registry, and told where nobody is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.components.model_sync_world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def without_owner(model: str) -> float | None:
    return REGISTRY.get_sample_value("terrace_model_sync_without_owner", {"model": model})


def test_the_owner_of_a_served_model_is_recorded_once(world: World) -> None:
    world.deploy("m", "1")
    world.sync.look()

    assert world.registry.owners == [("m", "delays", "science")]
    assert without_owner("m") is None


def test_another_owner_counts_without_a_restart(world: World) -> None:
    world.deploy("m", "1")
    world.settings.owners.write_text('{"m": ["delays", "operations"]}')
    world.sync.look()

    assert world.registry.owners[-1] == ("m", "delays", "operations")


def test_an_owner_is_recorded_once_the_registry_is_back(world: World) -> None:
    world.settings.owners.write_text("{}")
    world.deploy("m", "1")
    world.settings.owners.write_text('{"m": ["delays", "science"]}')
    world.registry.away = True
    world.sync.look()
    assert world.registry.owners == []

    world.registry.away = False
    world.sync.look()

    assert world.registry.owners == [("m", "delays", "science")]


def test_a_model_that_nobody_owns_is_told(world: World) -> None:
    world.deploy("stray", "1")
    assert without_owner("stray") == 1

    world.settings.owners.write_text('{"stray": ["delays", "science"]}')
    world.sync.look()

    assert without_owner("stray") is None
