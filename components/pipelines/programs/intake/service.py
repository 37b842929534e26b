"""The service's own logic, without HTTP: pipelines come, run, and go."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..contract.definition import DefinitionError, PipelineDefinition
from ..contract.records import PipelineRecord, PipelineStatus, Run, StepRun, Trigger, now
from .bundles import Bundles
from .engine import Attempt, Engine
from .errors import Refused
from .processes import end_run
from .settings import Settings
from .store import Store

logger = logging.getLogger(__name__)


@dataclass
class _Active:
    run: Run
    stop: asyncio.Event
    task: asyncio.Task[None]


class Service:
    """Everything that the API offers.

    Args:
        settings: The configuration.
        store: The records; those of runs that were going on when the service died are put right here.
        engine: Makes what runs pipelines and begins runs by schedule.
    """

    def __init__(self, settings: Settings, store: Store, engine: Callable[[Service], Engine]) -> None:
        self.settings = settings
        self.store = store
        self.bundles = Bundles(settings.data / "bundles", settings.bundle_mb)
        self._engine = engine(self)
        self._definitions: dict[str, PipelineDefinition] = {}
        self._active: dict[str, _Active] = {}
        self._changing = asyncio.Lock()
        self._leaving = ""  # the pipeline that is being removed, of which no run begins any more

    async def start(self) -> None:
        """Put right what an abrupt end left behind, and begin the schedules."""
        unfinished = [run for run in self.store.runs_of() if not run.ended]
        for run in unfinished:
            if not self._engine.outlives_service:
                await asyncio.to_thread(self._lose, run)
        for record in list(self.store.pipelines.values()):
            try:
                self._definitions[record.name] = self.bundles.definition(record.digest)
            except (OSError, DefinitionError) as error:
                logger.warning("pipeline %s must be sent again, its bundle is damaged: %s", record.name, error)
        for run in unfinished:
            if self._engine.outlives_service:
                self._resume(run)
        await self._engine.start()
        for name, definition in self._definitions.items():
            await self._engine.set(name, definition.schedule, self.store.pipelines[name].scheduled_after)

    async def stop(self) -> None:
        """Stop all runs, which are cancelled unless they outlive the service, and let go of the data folder."""
        await self._engine.stop()
        tasks = [active.task for active in self._active.values()]
        for active in self._active.values():
            if self._engine.outlives_service:
                active.task.cancel()
            else:
                active.stop.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.store.close()

    def ill(self) -> str:
        """Return what is wrong with the service at the moment; empty when nothing is."""
        return self._engine.ill()

    async def put(self, name: str, archive: Path, commit: str) -> tuple[PipelineStatus, bool]:
        """Take a bundle as pipeline ``name`` and tell whether that changed anything.

        Raises:
            Refused: The bundle is not one, or not this pipeline's.
        """
        async with self._changing:
            digest, unpacked, definition = await asyncio.to_thread(self.bundles.unpack, archive)
            self._check(name, definition)
            old = self._definitions.get(name)
            record = self.store.pipelines.get(name)
            changed = old is None or record is None or record.digest != digest
            if record and changed:
                await self._engine.catch_up(name)
            if record is None:
                record = PipelineRecord(name=name, digest=digest, commit=commit)
            self.bundles.accept(unpacked, digest)
            if changed:
                record.uploaded = now()
            if old is None or old.schedule != definition.schedule:
                record.scheduled_after = now()
            record.digest, record.commit = digest, commit
            self.store.save_pipeline(record)
            self._definitions[name] = definition
            await self._engine.set(name, definition.schedule, record.scheduled_after)
            await asyncio.to_thread(self.bundles.prune, self._digests_in_use())
            return self.status(name), changed

    async def delete(self, name: str) -> None:
        """Remove a pipeline with its runs.

        Raises:
            Refused: There is no such pipeline, or it is running.
        """
        async with self._changing:
            self._known(name)
            await self._engine.catch_up(name)
            if name in self._active:
                raise Refused(409, f"Pipeline '{name}' is running", fix="Cancel its run, or wait for its end.")
            self._leaving = name
            try:
                await self._engine.remove(name)
                self._definitions.pop(name, None)
                self.store.delete_pipeline(name)
            finally:
                self._leaving = ""
            await asyncio.to_thread(self.bundles.prune, self._digests_in_use())

    def run(self, name: str, trigger: Trigger = "request") -> Run:
        """Start a run.

        Raises:
            Refused: There is no such pipeline, or a run of it is going on.
        """
        record, definition = self._known(name), self._definitions.get(name)
        if definition is None:
            raise Refused(409, f"The bundle of pipeline '{name}' is damaged", fix="Send it again.")
        if name == self._leaving:
            raise Refused(409, f"Pipeline '{name}' is being removed")
        if name in self._active:
            raise Refused(
                409,
                f"Pipeline '{name}' is running",
                f"Run {self._active[name].run.id} has not ended, and one runs at a time.",
                "Wait for its end, or cancel it.",
            )
        run = Run(
            id=f"{name}-{now():%Y%m%dt%H%M%S}-{secrets.token_hex(3)}",
            pipeline=name,
            commit=record.commit,
            digest=record.digest,
            trigger=trigger,
            steps=[StepRun(name=step.name) for step in definition.steps],
        )
        self.store.save_run(run)
        self._carry(run, definition)
        return run

    def adopt(self, run: Run) -> None:
        """Follow a run that the engine began by itself, unless another run of its pipeline goes on."""
        definition = self._definitions.get(run.pipeline)
        if definition and run.pipeline not in self._active and run.pipeline != self._leaving:
            run.steps = [StepRun(name=step.name) for step in definition.steps]
            self.store.save_run(run)
            self._carry(run, definition)

    def cancel(self, run_id: str) -> Run:
        """Ask a run to stop.

        Raises:
            Refused: There is no such run, or it has ended.
        """
        run = self.find(run_id)
        active = self._active.get(run.pipeline)
        if active is None or active.run.id != run_id:
            raise Refused(409, f"Run {run_id} has ended already: {run.state}")
        active.stop.set()
        return run

    def find(self, run_id: str) -> Run:
        """Return a run.

        Raises:
            Refused: There is none with this id.
        """
        if run_id not in self.store.runs:
            raise Refused(404, f"There is no run '{run_id}'", "Only the last runs of each pipeline are kept.")
        return self.store.runs[run_id]

    def status(self, name: str) -> PipelineStatus:
        """Return a pipeline as it stands.

        Raises:
            Refused: There is none with this name.
        """
        record, definition = self._known(name), self._definitions.get(name)
        return PipelineStatus(
            **record.model_dump(include={"name", "digest", "commit", "uploaded"}),
            description=definition.description if definition else "",
            schedule=definition.schedule if definition else None,
            steps=[step.name for step in definition.steps] if definition else [],
            next_run=self._engine.next(name),
            last_run=next(iter(self.store.runs_of(name)), None),
        )

    def running(self, name: str) -> bool:
        """Tell whether a run of ``name`` is going on."""
        return name in self._active

    async def fire(self, name: str) -> None:
        """Start a run because its time has come."""
        record = self.store.pipelines[name]
        record.scheduled_after = now()
        self.store.save_pipeline(record)
        try:
            self.run(name, "schedule")
        except Refused as error:
            logger.warning("scheduled run of %s left out: %s", name, error.what)

    def _carry(self, run: Run, definition: PipelineDefinition) -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(self._carry_out(Attempt(run, definition, stop)))
        self._active[run.pipeline] = _Active(run, stop, task)

    def _resume(self, run: Run) -> None:
        try:
            self._carry(run, self.bundles.definition(run.digest))
        except (OSError, DefinitionError):
            self._lose(run)

    async def _carry_out(self, attempt: Attempt) -> None:
        name = attempt.run.pipeline
        try:
            await self._engine.carry_out(attempt)
            self._count(attempt.run)
        except OSError:
            # A full disk, say. The record on it is put right at the next start.
            logger.exception("the end of run %s can't be noted", attempt.run.id)
        finally:
            del self._active[name]
        old = self.store.old_runs(name, self.settings.keep_runs)
        self.store.delete_runs(await self._engine.settle(name, old))
        async with self._changing:
            await asyncio.to_thread(self.bundles.prune, self._digests_in_use())

    def _lose(self, run: Run) -> None:
        end_run(run.id, run.group)
        run.finish("lost", "The service ended while it ran")
        self.store.save_run(run)
        self._count(run)

    def _count(self, run: Run) -> None:
        record = self.store.pipelines.get(run.pipeline)
        if record is None:
            return
        record.run_counts[run.state] = record.run_counts.get(run.state, 0) + 1
        for step in run.steps:
            record.attempt_counts[step.name] = record.attempt_counts.get(step.name, 0) + step.attempts
        if run.state == "succeeded":
            record.last_success = run.finished
        self.store.save_pipeline(record)

    def _check(self, name: str, definition: PipelineDefinition) -> None:
        if definition.name != name:
            raise Refused(422, f"The bundle's pipeline is called '{definition.name}', not '{name}'")
        lacking = [step for step in self.settings.required_steps if step not in {s.name for s in definition.steps}]
        if lacking:
            raise Refused(
                422,
                f"Pipeline '{name}' lacks the step '{lacking[0]}'",
                "This platform runs no pipeline without it.",
                f"Add a step named '{lacking[0]}' to pipeline.yaml.",
            )

    def _known(self, name: str) -> PipelineRecord:
        if name not in self.store.pipelines:
            known = ", ".join(sorted(self.store.pipelines)) or "none"
            raise Refused(404, f"There is no pipeline '{name}'", f"Pipelines: {known}.", "Send it first.")
        return self.store.pipelines[name]

    def _digests_in_use(self) -> set[str]:
        sent = {record.digest for record in self.store.pipelines.values()}
        return sent | {active.run.digest for active in self._active.values()}
