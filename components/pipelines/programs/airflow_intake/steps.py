"""One attempt of one step, as a task of Airflow's carries it out, and the note that it leaves for the service."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from ..contract.definition import FILE_NAME, PipelineDefinition
from ..contract.records import ProcessGroup, Run, StepRun, now
from ..intake.commands import Command, Ended, execute, how_it_ended
from ..intake.environments import HOME, READY_FILE, step_environment, uv_environment
from ..intake.logs import StepLog
from ..intake.processes import end_run
from ..intake.settings import MIB, Settings
from ..intake.store import log_name, write_record
from .names import ENVIRONMENT


class StepNote(StepRun):
    """What a task says of its step: what Airflow has no field for."""

    group: ProcessGroup | None = None


class StepFailed(Exception):
    """The attempt failed. ``final`` says that another can't succeed."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


@dataclass(frozen=True)
class Task:
    """One attempt: of which step (``ENVIRONMENT``: of making the environment), in which run.

    Args:
        run: The run's id, pipeline, commit, and digest; when it started.
        step: The step's name.
        attempt: Counted from 1.
    """

    run: Run
    step: str
    attempt: int


def bundle(settings: Settings, digest: str) -> Path:
    """Return the folder of a bundle's files."""
    return settings.data / "bundles" / digest


def definition_of(settings: Settings, digest: str) -> PipelineDefinition:
    """Return a bundle's pipeline.

    Raises:
        OSError: The bundle is gone.
        DefinitionError: It is damaged.
    """
    return PipelineDefinition.parse((bundle(settings, digest) / FILE_NAME).read_text(encoding="utf-8"))


def note_of(folder: Path, step: str) -> StepNote | None:
    """Return what the tasks of ``step`` noted in the run's ``folder``, if anything."""
    try:
        return StepNote.model_validate_json((folder / f"{step}.json").read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


async def carry_out(settings: Settings, task: Task, stop: asyncio.Event) -> None:
    """Carry one attempt out; its output goes into the step's log, and is shown as the task's own.

    Raises:
        StepFailed: It did not succeed.
    """
    definition = definition_of(settings, task.run.digest)
    folder = settings.data / "runs" / task.run.id
    work = folder / "work"
    work.mkdir(parents=True, exist_ok=True, mode=0o700)
    (settings.data / HOME).mkdir(exist_ok=True, mode=0o700)
    note = note_of(folder, task.step) or StepNote(name=task.step)
    left, note.group = note.group, None
    note.state, note.attempts, note.exit_code, note.error = "running", task.attempt, None, ""
    note.started = note.started or now()
    write_record(folder / f"{task.step}.json", note)
    # An attempt whose task was killed may have left processes behind.
    await asyncio.to_thread(end_run, task.run.id, left)
    try:
        await _attempt(settings, task, definition, stop, note)
        note.state = "succeeded"
    except StepFailed as error:
        note.state, note.error = "lost" if stop.is_set() else "failed", str(error)
        raise
    finally:
        note.group, note.seconds = None, (now() - note.started).total_seconds()
        later = note_of(folder, task.step)
        # A task that Airflow lost may end after the one that took its place has begun.
        if later is None or later.attempts <= task.attempt:
            write_record(folder / f"{task.step}.json", note)


async def _attempt(
    settings: Settings, task: Task, definition: PipelineDefinition, stop: asyncio.Event, note: StepNote
) -> None:
    ready = bundle(settings, task.run.digest) / READY_FILE
    if task.step == ENVIRONMENT and ready.is_file():
        note.exit_code = 0
        return
    folder = settings.data / "runs" / task.run.id
    seconds, command = _command(settings, task, definition, folder)

    def started(group: ProcessGroup) -> None:
        note.group = group
        write_record(folder / f"{task.step}.json", note)

    log = StepLog(
        folder / log_name([step.name for step in definition.steps], _log_of(task.step)),
        settings.log_mb * MIB,
        settings.secret_values(),
        echo=_show,
    )
    with log:
        ended = await execute(command, log, seconds=seconds, stop=stop, started=started)
        if ended != Ended(0):
            log.note(how_it_ended(ended, seconds))
    note.exit_code = ended.exit_code
    if ended != Ended(0):
        _time_left(definition, task.run.started)
        raise StepFailed(_failure(task.step, ended, seconds))
    if task.step == ENVIRONMENT:
        ready.touch()


def _command(settings: Settings, task: Task, definition: PipelineDefinition, folder: Path) -> tuple[float, Command]:
    """Return the command of the attempt, and how long it may take (seconds)."""
    left = _time_left(definition, task.run.started)
    files = bundle(settings, task.run.digest)
    if task.step == ENVIRONMENT:
        words: Sequence[str] = [str(settings.uv), "sync", "--frozen"]
        return left, Command(words, files, uv_environment(settings, task.run.id), task.run.id)
    step = next(each for each in definition.steps if each.name == task.step)
    environment = step_environment(settings, files, task.run, folder / "work")
    return min(left, step.timeout or left), Command(step.command, files, environment, task.run.id)


def _time_left(definition: PipelineDefinition, began: datetime | None) -> float:
    """Return how long the run may still take (seconds).

    Raises:
        StepFailed: Its time is over.
    """
    left = definition.timeout - (now() - (began or now())).total_seconds()
    if left <= 0:
        raise StepFailed(f"The run took longer than {definition.timeout} s", final=True)
    return left


def _failure(step: str, ended: Ended, seconds: float) -> str:
    if step == ENVIRONMENT:
        return f"Its environment can't be made: uv sync ended with exit code {ended.exit_code}"
    return f"Step {step} {how_it_ended(ended, seconds)}"


def _log_of(step: str) -> str | None:
    return None if step == ENVIRONMENT else step


def _show(data: bytes) -> None:
    with suppress(OSError, ValueError):
        sys.stdout.write(data.decode(errors="replace"))
        sys.stdout.flush()
