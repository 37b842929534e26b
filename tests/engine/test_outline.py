"""What a program asks for is told without state, provider, passphrase, or secret."""

from __future__ import annotations

import pytest

from terrace.engine import Project
from terrace.engine.outline import STAND_IN, Outline, outline
from terrace.engine.values import Secret, reveal
from tests.engine.engine_world import World


def outlined(world: World, stage: int = 1) -> Outline:
    world.set_stage(stage)
    return outline(Project.load(world.root), "dev")


def test_all_that_a_program_asks_for_is_listed_and_nothing_done(world: World) -> None:
    found = outlined(world)
    assert found.errors == ()
    things = {each.name: reveal(each.inputs) for each in found.resources if ":providers:" not in each.type}
    assert things.keys() >= {"a", "b", "c"}
    assert (things["a"]["value"], things["b"]["port"]) == (1, 5432)
    assert not world.checkpoint.exists()
    assert world.things() == []
    assert not (world.root / "calls").exists()


def test_no_passphrase_is_asked_for_and_no_secret_opened(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(world.root, "secret_values")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    found = outlined(world)
    assert found.errors == ()
    value = next(reveal(each.inputs)["value"] for each in found.resources if each.name == "a")
    assert value.startswith("closed-")
    again = outline(Project.load(world.root), "dev").resources
    assert value == next(reveal(each.inputs)["value"] for each in again if each.name == "a")


def test_a_program_that_fails_says_why(world: World) -> None:
    world.write("raise RuntimeError('no such thing')")
    (error,) = outlined(world).errors
    assert "no such thing" in error


def test_what_is_there_is_not_looked_at(world: World) -> None:
    world = World(world.root, "importing")
    assert all("can't be looked at" in error for error in outlined(world).errors)
    assert outlined(world).errors


def test_no_cluster_is_asked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the cluster was asked")

    monkeypatch.setattr("terrace.engine.kubernetes.access.connect", never)
    world.write("from pulumi_kubernetes.core.v1 import ConfigMap\nConfigMap('settings', data={'a': 'b'})")
    found = outlined(world)
    assert found.errors == ()
    assert [reveal(each.inputs)["data"] for each in found.resources if each.name == "settings"] == [{"a": "b"}]


def test_what_is_generated_has_a_text_of_its_own_which_is_the_same_each_time(world: World) -> None:
    world.write(
        "import pulumi\n"
        "from terrace.password import Password\n"
        "made = Password('door', pulumi.ComponentResource('a:b:C', 'c'))\n"
        "pulumi.export('door', made.value)\n"
    )
    for _ in range(2):
        found = outlined(world)
        assert found.errors == ()
        (door,) = (each for each in found.resources if each.name == "door")
        assert reveal(door.outputs)["value"] == f"{STAND_IN}door-value"
        assert isinstance(door.outputs["value"], Secret)
        assert STAND_IN not in reveal(door.inputs)["value"]
