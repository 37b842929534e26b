"""Whatever was changed and failed before: a run in which nothing fails gives what a fresh run gives."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from terrace.engine import Options, Result
from tests.engine.random_programs import NOTHING, Program, edited, first_program
from tests.engine.random_shelf import ShelfWorld


@dataclass(frozen=True, repr=False)
class Run:
    """One operation.

    Attributes:
        operation: What is done: ``up``, ``destroy`` or ``refresh``.
        program: The program at that time.
        failing: The methods that fail, and of which things; ``register`` is no method, but the program raises there.
        changed: Things that somebody else changed before.
        vanished: Things that somebody else removed before.
        options: How it is done.
    """

    operation: str
    program: Program
    failing: tuple[tuple[str, str], ...] = ()
    changed: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    options: Options = field(default_factory=Options)

    def __repr__(self) -> str:
        notes = [f"{method} of {key} fails" for method, key in self.failing]
        notes += [f"{key} was changed" for key in self.changed] + [f"{key} vanished" for key in self.vanished]
        notes.append("going on after errors" if self.options.continue_on_error else "stopping at an error")
        return f"{self.operation}, {self.options.parallel} at once, {', '.join(notes)}:\n{self.program!r}"


@dataclass(frozen=True, repr=False)
class Story:
    """Runs of one stack, the last of which has nothing that fails."""

    runs: tuple[Run, ...]

    def __repr__(self) -> str:
        return "\n" + "\n".join(f"{number}. {run!r}" for number, run in enumerate(self.runs, start=1))

    def _repr_pretty_(self, printer: Any, _: bool) -> None:  # hypothesis has its own opinion of dataclasses else
        printer.text(repr(self))


def _story(random: Random) -> Story:
    program = first_program(random)
    runs = [_run(program, random)]
    for _ in range(random.randint(1, 3)):
        before, program = program, edited(program, random)
        runs.append(_run(program, random, before))
    return Story((*runs, Run("up", edited(program, random))))


def _run(program: Program, random: Random, before: Program = NOTHING) -> Run:
    operation = random.choice(["up"] * 8 + ["destroy", "refresh"])
    options = Options(parallel=random.choice([1, 4]), continue_on_error=random.choice([False, True]))
    things = tuple(dict.fromkeys(thing.key for thing in (*before.things, *program.things)))
    if operation == "refresh":
        changed, vanished = _some(things, random), _some(things, random)
        return Run(operation, before, changed=changed, vanished=vanished, options=options)
    methods = ["create", "update", "delete"] * 3 + ["register"]  # the last is the program's own failure
    failing = tuple((random.choice(methods), key) for key in things if random.randint(0, 4) == 0)
    return Run(operation, program, failing, options=options)


def _some(keys: tuple[str, ...], random: Random) -> tuple[str, ...]:
    return tuple(random.sample(keys, min(len(keys), random.randint(0, 3))))


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_synced() -> Iterator[None]:
    """No power cut happens here, and waiting for the disk takes half of the time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@given(st.randoms(use_true_random=True).map(_story))
@settings(
    max_examples=60,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_the_end_is_as_if_nothing_had_come_before(story: Story) -> None:
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        thread.submit(_check, story, Path(folder)).result()


def _check(story: Story, folder: Path) -> None:
    world = ShelfWorld(folder / "world")
    for run in story.runs:
        result = _carry_out(world, run)
        assert result.ok or run.failing, result.errors
        assert world.held() == world.listed()
    fresh = ShelfWorld(folder / "fresh")
    assert _carry_out(fresh, story.runs[-1]).ok
    assert world.state() == fresh.state()
    assert set(_carry_out(world, story.runs[-1]).summary) == {"same"}
    assert _carry_out(world, replace(story.runs[-1], operation="destroy")).ok
    assert (world.held(), world.state()) == ({}, [])


def _carry_out(world: ShelfWorld, run: Run) -> Result:
    world.wanted = run.program
    world.fail(run.failing)
    world.meddle(run.changed, run.vanished)
    result: Result = getattr(world.stack(), run.operation)(options=run.options)
    return result
