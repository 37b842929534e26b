"""Runs by Airflow: each pipeline a DAG, each run a DAG run, followed until its end."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from ..contract.records import Run, now
from ..intake.engine import Attempt, RunFailed, RunStopped
from ..intake.errors import Refused
from ..intake.processes import end_run
from ..intake.service import Service
from . import names
from .client import AirflowClient, AirflowError
from .states import CANCELLED, OVERDUE, PAUSED, finish, take_over
from .steps import note_of
from .watch import Watch

logger = logging.getLogger(__name__)

# How often Airflow is asked of a run that goes on (seconds).
FOLLOW_SECONDS = 0.5
# How long Airflow may take to read a pipeline (seconds).
READS_WITHIN_SECONDS = 120.0
# How long after the time that a run may take it is given up: Airflow's own limit comes before (seconds).
GIVEN_UP_AFTER_SECONDS = 2 * names.OVERTIME_SECONDS
DAG_FILE = '''"""Made from the bundle of pipeline {name}, and made anew when that changes: an Airflow DAG."""

from programs.airflow_intake.dags import pipeline

dag = pipeline({name!r}, digest={digest!r}, commit={commit!r}, after={after!r})
'''


class AirflowEngine:
    """Has Airflow carry out the runs of ``service``.

    Args:
        service: The service.
        client: Airflow's API.
        dags: The folder that Airflow reads DAGs from.
        logs: The folder of its logs.
    """

    outlives_service = True

    def __init__(self, service: Service, client: AirflowClient, dags: Path, logs: Path) -> None:
        self._service = service
        self._client = client
        self._dags = dags
        self._logs = logs
        self._watch = Watch(service, client)
        self._after: dict[str, datetime] = {}
        dags.mkdir(parents=True, exist_ok=True, mode=0o700)

    async def start(self) -> None:
        """Begin to watch Airflow."""
        self._watch.start()

    async def stop(self) -> None:
        """No longer watch it."""
        await self._watch.stop()

    async def catch_up(self, name: str) -> None:
        """Take over the run of ``name`` that Airflow began and the watch hasn't seen yet.

        Raises:
            Refused: Airflow doesn't say whether there is one.
        """
        await self._watch.catch_up(name)

    async def set(self, name: str, expression: str | None, after: datetime) -> None:
        """Write the DAG of ``name``; its bundle says when it runs.

        While a run goes on it waits for the run's end: Airflow's tasks read the file that is there.
        """
        self._after[name] = after
        if not self._service.running(name):
            self._write(name)

    async def remove(self, name: str) -> None:
        """Remove the DAG of ``name``, and its runs.

        Raises:
            Refused: Airflow doesn't do it.
        """
        self._file(name).unlink(missing_ok=True)
        try:
            await self._forgotten(name)
            await self._delete(f"/dags/{name}")
        except (AirflowError, Refused) as error:
            # It is still there, so it goes on.
            self._write(name)
            if isinstance(error, Refused):
                raise
            raise Refused(503, f"Pipeline '{name}' can't be removed now", str(error), "Try again.") from None
        self._watch.dags.pop(name, None)
        shutil.rmtree(self._logs / f"dag_id={name}", ignore_errors=True)

    def next(self, name: str) -> datetime | None:
        """Return when ``name`` runs next by itself."""
        text = self._watch.dags.get(name, {}).get("next_dagrun_run_after")
        return datetime.fromisoformat(text) if text else None

    def ill(self) -> str:
        """Return what is wrong with Airflow; empty when nothing is."""
        return self._watch.ill

    async def carry_out(self, attempt: Attempt) -> None:
        """Have Airflow carry ``attempt.run`` out, and follow it to its end."""
        run = attempt.run
        run.started = run.started or now()
        try:
            await self._begin(attempt)
            await self._follow(attempt)
        except RunStopped:
            run.finish("cancelled", "It was stopped before its end")
        except RunFailed as error:
            run.finish("failed", str(error))
        except AirflowError as error:
            run.finish("lost", str(error))
        except Exception as error:
            # Nothing that one run meets may leave it without an end.
            logger.exception("run %s can't be followed", run.id)
            run.finish("lost", f"The run can't be followed: {error!r}")
        self._service.store.save_run(run)

    async def settle(self, name: str, old: Sequence[str]) -> Sequence[str]:
        """Write a DAG that waited for a run's end, have Airflow forget the ``old`` runs, and return those forgotten."""
        if name in self._service.store.pipelines:
            self._write(name)
        forgotten = []
        for each in old:
            airflow_id = names.airflow_id(self._service.store.runs[each])
            # One that Airflow still knows would be taken for a new one; it goes with the next run's end.
            with suppress(AirflowError):
                await self._delete(f"/dags/{name}/dagRuns/{airflow_id}")
                shutil.rmtree(self._logs / f"dag_id={name}" / f"run_id={airflow_id}", ignore_errors=True)
                forgotten.append(each)
        return forgotten

    def _file(self, name: str) -> Path:
        return self._dags / f"{name}.py"

    def _write(self, name: str) -> None:
        record = self._service.store.pipelines[name]
        after = self._after.get(name, record.scheduled_after).isoformat()
        text = DAG_FILE.format(name=name, digest=record.digest, commit=record.commit, after=after)
        file = self._file(name)
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            temporary = file.with_suffix(".tmp")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(file)

    async def _forgotten(self, name: str) -> None:
        """Wait for Airflow to see that a DAG's file is gone: its DAG processor ends when the DAG is deleted first."""
        until = asyncio.get_running_loop().time() + READS_WITHIN_SECONDS
        with suppress(AirflowError):
            while not (await self._client.ask("GET", f"/dags/{name}"))["is_stale"]:
                if asyncio.get_running_loop().time() > until:
                    raise Refused(503, f"Pipeline '{name}' can't be removed now", "Airflow still has it.", "Try again.")
                await asyncio.sleep(FOLLOW_SECONDS)

    async def _delete(self, path: str) -> None:
        try:
            await self._client.ask("DELETE", path)
        except AirflowError as error:
            if error.status != 404:
                raise

    async def _begin(self, attempt: Attempt) -> None:
        """Start the DAG run, unless Airflow has it already, as soon as Airflow knows the run's bundle."""
        run = attempt.run
        until = asyncio.get_running_loop().time() + READS_WITHIN_SECONDS
        while True:
            attempt.seconds_left()
            try:
                if run.engine_id or await self._dag_run(run):
                    return
                if await self._reads(run):
                    body = {"dag_run_id": run.id, "logical_date": None}
                    await self._client.ask("POST", f"/dags/{run.pipeline}/dagRuns", body)
                    return
            except AirflowError as error:
                if not error.passing and error.status != 404:
                    raise
            if asyncio.get_running_loop().time() > until:
                raise RunFailed(await self._unread(run))
            await asyncio.sleep(FOLLOW_SECONDS)

    async def _dag_run(self, run: Run) -> dict[str, Any] | None:
        """Return Airflow's run; None where there is none."""
        try:
            return await self._client.ask("GET", f"/dags/{run.pipeline}/dagRuns/{names.airflow_id(run)}")
        except AirflowError as error:
            if error.status != 404:
                raise
            return None

    async def _reads(self, run: Run) -> bool:
        """Return whether Airflow knows the bundle that the run is of."""
        dag = await self._client.ask("GET", f"/dags/{run.pipeline}")
        if dag["is_paused"]:
            raise RunFailed(f"Pipeline '{run.pipeline}' is paused in Airflow")
        return not dag["is_stale"] and names.TAG + run.digest in {tag["name"] for tag in dag["tags"]}

    async def _unread(self, run: Run) -> str:
        try:
            errors = (await self._client.ask("GET", "/importErrors", limit=100))["import_errors"]
        except AirflowError as error:
            return f"Airflow does not take the pipeline: {error}"
        found = [each["stack_trace"] for each in errors if each["filename"] == f"{run.pipeline}.py"]
        why = found[0].strip().rsplit("\n", 1)[-1] if found else "it has not read it in time"
        return f"Airflow does not take the pipeline: {why}"

    async def _follow(self, attempt: Attempt) -> None:
        """Bring the record up to date until Airflow's run has ended, and end it when it is due."""
        run, told = attempt.run, False
        while True:
            try:
                if await self._look(run):
                    return
                why = self._why_to_end(attempt)
                if why and not told:
                    body = {"state": "failed", "note": why}
                    await self._client.ask("PATCH", f"/dags/{run.pipeline}/dagRuns/{names.airflow_id(run)}", body)
                    told = True
            except AirflowError as error:
                if not error.passing:
                    raise
            await asyncio.sleep(FOLLOW_SECONDS)

    def _why_to_end(self, attempt: Attempt) -> str | None:
        """Return the note of a run that Airflow is to end now; None when it may go on."""
        if attempt.stop.is_set():
            return CANCELLED
        run, limit = attempt.run, attempt.definition.timeout + GIVEN_UP_AFTER_SECONDS
        if (now() - (run.started or run.created)).total_seconds() <= limit:
            return None
        return PAUSED if self._watch.dags.get(run.pipeline, {}).get("is_paused") else OVERDUE

    async def _look(self, run: Run) -> bool:
        """Bring the record up to date, and tell whether the run has ended."""
        airflow = await self._dag_run(run)
        if airflow is None:
            raise AirflowError(404, "Airflow no longer knows the run")
        if airflow["state"] == "queued":
            return False
        path = f"/dags/{run.pipeline}/dagRuns/{names.airflow_id(run)}/taskInstances"
        answer = await self._client.ask("GET", path, limit=100)
        before = run.model_dump()
        folder = self._service.store.work_folder(run.id).parent
        notes = {step.name: note for step in run.steps if (note := note_of(folder, step.name))}
        take_over(run, {each["task_id"]: each for each in answer["task_instances"]}, notes)
        if airflow["state"] in {"success", "failed"}:
            # What a task that was killed has left behind.
            groups = [note.group for note in notes.values() if note.group]
            await asyncio.to_thread(end_run, run.id, groups[-1] if groups else None)
            finish(run, airflow, note_of(folder, names.ENVIRONMENT))
            return True
        if run.model_dump() != before:
            self._service.store.save_run(run)
        return False
