"""Generated secrets: proposed anew on every run, kept by ``ignore_changes``, and read back from the state sealed."""

from __future__ import annotations

from tests.engine.engine_world import World

PROGRAM = """
import secrets
import pulumi
Thing("kept", Options(ignore_changes=["value"]), value=pulumi.Output.secret(secrets.token_hex(16)))
"""


def _value(world: World) -> str:
    (thing,) = (world.root / "things").iterdir()
    return thing.read_text(encoding="utf-8")


def test_a_generated_secret_is_kept_by_later_runs(world: World) -> None:
    world.write(PROGRAM)
    assert world.run("up", 1).ok
    first = _value(world)
    for operation in ("up", "preview", "refresh", "up"):
        result = world.run(operation, 1)
        assert result.ok, result.errors
        assert result.summary.keys() <= {"same", "refresh"}, operation
        assert _value(world) == first


def test_an_unchanged_secret_does_not_change_the_state(world: World) -> None:
    world.write(PROGRAM)
    assert world.run("up", 1).ok
    before = world.checkpoint.read_text(encoding="utf-8").count("ciphertext")
    sealed = [line for line in world.checkpoint.read_text(encoding="utf-8").split('"') if line.startswith("v1:")]
    assert world.run("up", 1).ok
    again = [line for line in world.checkpoint.read_text(encoding="utf-8").split('"') if line.startswith("v1:")]
    assert before > 0
    assert set(sealed) == set(again)
