"""Carrying out one run: the bundle's environment, then its steps in order."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from ..contract.definition import LONGEST_PAUSE_SECONDS, StepDefinition
from ..contract.records import ProcessGroup, StepRun, now
from ..intake.bundles import Bundles
from ..intake.commands import Command, Ended, execute, how_it_ended
from ..intake.engine import Attempt, RunFailed, RunStopped
from ..intake.environments import HOME, READY_FILE, step_environment, uv_environment
from ..intake.logs import StepLog
from ..intake.settings import MIB, Settings
from ..intake.store import Store

logger = logging.getLogger(__name__)


class Runner:
    """Carries runs out, and notes each change in the store."""

    def __init__(self, settings: Settings, store: Store, bundles: Bundles) -> None:
        self._settings = settings
        self._store = store
        self._bundles = bundles
        (settings.data / HOME).mkdir(exist_ok=True, mode=0o700)

    async def carry_out(self, attempt: Attempt) -> None:
        """Carry out ``attempt.run`` to its end, whichever it is; the record says which."""
        run = attempt.run
        run.started = now()
        try:
            await self._prepare(attempt)
            run.state = "running"
            for step, record in zip(attempt.definition.steps, run.steps, strict=True):
                await self._step(attempt, step, record)
            run.finish("succeeded")
        except RunStopped:
            run.finish("cancelled", "It was stopped before its end")
        except RunFailed as error:
            run.finish("failed", str(error))
        except Exception as error:
            # The service goes on whatever happens in one run: a full disk, a bundle that was tampered with.
            logger.exception("run %s ended unexpectedly", run.id)
            run.finish("failed", f"The run can't go on: {error}")
        self._store.save_run(run)

    async def _prepare(self, attempt: Attempt) -> None:
        """Make the bundle's environment, once per bundle, when it has a lock."""
        folder = self._bundles.folder(attempt.run.digest)
        if not (folder / "uv.lock").is_file() or (folder / READY_FILE).is_file():
            return
        attempt.run.state = "preparing"
        self._store.save_run(attempt.run)
        if not self._settings.uv:
            raise RunFailed("The bundle has a uv.lock, but the service has no uv (PIPELINES_UV)")
        command = Command(
            [self._settings.uv, "sync", "--frozen"],
            folder,
            uv_environment(self._settings, attempt.run.id),
            attempt.run.id,
        )
        ended = await self._execute(attempt, command, None, attempt.seconds_left())
        if ended.because == "stopped":
            raise RunStopped
        attempt.seconds_left()
        if ended.exit_code != 0:
            raise RunFailed(f"Its environment can't be made: uv sync ended with exit code {ended.exit_code}")
        (folder / READY_FILE).touch()

    async def _step(self, attempt: Attempt, step: StepDefinition, record: StepRun) -> None:
        """Run one step until it succeeds or has no retry left.

        Raises:
            RunFailed: It did not succeed.
            RunStopped: The run was asked to stop.
        """
        record.started = now()
        record.state = "running"
        try:
            await self._attempts(attempt, step, record)
            record.state = "succeeded"
        except RunStopped:
            record.state, record.error = "cancelled", "It was stopped"
            raise
        except RunFailed as error:
            record.state, record.error = "failed", str(error)
            raise
        finally:
            record.seconds = (now() - record.started).total_seconds()
            self._store.save_run(attempt.run)

    async def _attempts(self, attempt: Attempt, step: StepDefinition, record: StepRun) -> None:
        folder, work = self._bundles.folder(attempt.run.digest), self._store.work_folder(attempt.run.id)
        command = Command(
            step.command, folder, step_environment(self._settings, folder, attempt.run, work), attempt.run.id
        )
        while True:
            seconds = attempt.seconds_left(step.timeout)
            record.attempts += 1
            record.exit_code = None
            ended = await self._execute(attempt, command, step.name, seconds)
            record.exit_code = ended.exit_code
            if ended == Ended(0):
                return
            attempt.seconds_left()
            if record.attempts > step.retries:
                raise RunFailed(f"Step {step.name} {how_it_ended(ended, seconds)}")
            self._store.save_run(attempt.run)
            await _pause(attempt, record.attempts)

    async def _execute(self, attempt: Attempt, command: Command, step: str | None, seconds: float) -> Ended:
        run = attempt.run

        def started(group: ProcessGroup) -> None:
            run.group = group
            self._store.save_run(run)

        path = self._store.log_path(run, step)
        limit, secrets = self._settings.log_mb * MIB, self._settings.secret_values()
        with StepLog(path, limit, secrets) as log:
            ended = await execute(command, log, seconds=seconds, stop=attempt.stop, started=started)
            if ended != Ended(0):
                log.note(how_it_ended(ended, seconds))
        run.group = None
        return ended


async def _pause(attempt: Attempt, attempts: int) -> None:
    """Wait longer before each further attempt: 1, 2, 4, … s."""
    seconds = attempt.seconds_left(min(2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS))
    with suppress(TimeoutError):
        await asyncio.wait_for(attempt.stop.wait(), seconds)
