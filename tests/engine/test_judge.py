"""Somebody looks at the plan before anything is touched, and may refuse it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from terrace.engine import Diagnostic, Event, Options, Project, Stack, StateError
from terrace.engine.judge import Judge
from terrace.engine.state import Resource
from terrace.engine.values import reveal
from tests.engine.engine_world import PASSPHRASE, World


def judged_by(world: World, judge: Judge, stage: int = 1) -> Stack:
    world.set_stage(stage)
    return Stack(Project.load(world.root), "dev", passphrase=lambda: PASSPHRASE, judge=judge)


def refuse_the_second(resources: Sequence[Resource]) -> list[Diagnostic]:
    (thing,) = [each for each in resources if each.name == "a"]
    warning = Diagnostic("warning", thing.urn, "it is called a")
    return [warning, *([Diagnostic("error", thing.urn, "it has 2")] if thing.inputs["value"] == 2 else [])]


def test_what_is_refused_is_not_touched(world: World) -> None:
    assert judged_by(world, refuse_the_second).up().ok
    before, things = world.state(), world.things()
    events: list[Event] = []

    result = judged_by(world, refuse_the_second, stage=2).up(on_event=events.append)

    assert not result.ok
    assert [error.message for error in result.errors] == ["it has 2"]
    assert [each.message for each in result.judged] == ["it is called a", "it has 2"]
    assert [each.severity for each in events if isinstance(each, Diagnostic)] == ["warning", "error"]
    assert result.steps == ()
    assert (world.state(), world.things()) == (before, things)


def test_a_preview_says_it_and_fails_too(world: World) -> None:
    assert judged_by(world, refuse_the_second).preview().ok
    result = judged_by(world, refuse_the_second, stage=2).preview()
    assert not result.ok
    assert [error.message for error in result.errors] == ["it has 2"]


def test_a_judge_sees_what_will_be_there(world: World) -> None:
    """Also what isn't a target and isn't there yet, and nothing of what goes."""
    seen: list[list[str]] = []

    def look(resources: Sequence[Resource]) -> list[Diagnostic]:
        seen.append(sorted(each.name for each in resources if each.custom and ":providers:" not in each.type))
        return []

    assert judged_by(world, look, stage=3).up(options=Options(targets=("**::a",))).ok
    assert judged_by(world, look, stage=3).up().ok
    assert judged_by(world, look, stage=4).up().ok
    assert seen == [["a", "b", "c"], ["a", "b", "c"], ["a", "b"]]
    assert judged_by(world, look, stage=4).destroy().ok
    assert len(seen) == 3


def test_what_a_judge_says_holds_no_secret(world: World) -> None:
    def tell(resources: Sequence[Resource]) -> list[Diagnostic]:
        return [Diagnostic("warning", "", str([reveal(each.inputs) for each in resources]))]

    world = World(world.root, "secret_values")
    (said,) = judged_by(world, tell).preview().judged
    assert "[secret]" in said.message
    assert "hunter22" not in said.message


def test_a_plan_that_fails_is_not_judged(world: World) -> None:
    world.write("raise RuntimeError('no')")

    def never(_resources: Sequence[Resource]) -> list[Diagnostic]:
        raise AssertionError

    assert [error.urn for error in judged_by(world, never).preview().errors] == [""]


def test_what_cannot_be_told_of_the_whole_is_not_taken_for_good(world: World) -> None:
    """Where some resources are targets, the whole is found without the stack's secrets."""
    world.write("""
        if pulumi.Config().require("password").startswith("closed-"):
            raise RuntimeError("what a password")
        Thing("a", value=1)
    """)
    with pytest.raises(StateError, match="what a password"):
        judged_by(world, lambda _resources: []).preview(options=Options(targets=("**::a",)))
