"""What Airflow does by itself: its health, its DAGs, and the runs that it began by schedule or from its pages."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..contract.records import Run
from ..intake.errors import Refused
from ..intake.service import Service
from . import names
from .client import AirflowClient, AirflowError

logger = logging.getLogger(__name__)

# How often Airflow is asked (seconds), and for how many runs.
LOOK_SECONDS, LATEST_RUNS = 3.0, 50


class Watch:
    """Looks at Airflow again and again, and has ``service`` take over the runs that it finds.

    Attributes:
        ill: What is wrong with Airflow; empty when nothing is.
        dags: Its DAGs as they were seen last, by their names.
    """

    def __init__(self, service: Service, client: AirflowClient) -> None:
        self._service = service
        self._client = client
        self._task: asyncio.Task[None] | None = None
        self.ill = "Airflow has not answered yet"
        self.dags: dict[str, dict[str, Any]] = {}

    def start(self) -> None:
        """Begin; must be called in the event loop."""
        self._task = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        """End."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def catch_up(self, name: str) -> None:
        """Take over the run of ``name`` that goes on, if there is one.

        Raises:
            Refused: Airflow doesn't say whether there is.
        """
        try:
            runs = await self._client.ask("GET", f"/dags/{name}/dagRuns", state="running", limit=LATEST_RUNS)
        except AirflowError as error:
            if error.status == 404:
                return
            what = f"Pipeline '{name}' can't be changed now"
            raise Refused(503, what, f"Whether it runs is not known: {error}.", "Try again.") from None
        self._adopt(runs["dag_runs"])

    async def _watch(self) -> None:
        while True:
            try:
                self.ill = await self._health()
                dags = await self._client.ask("GET", "/dags", limit=100)
                self.dags = {dag["dag_id"]: dag for dag in dags["dags"]}
                runs = await self._client.ask("GET", "/dags/~/dagRuns", limit=LATEST_RUNS, order_by="-run_after")
                self._adopt(reversed(runs["dag_runs"]))
            except AirflowError as error:
                self.ill = str(error)
            except Exception:
                # An answer of a shape that isn't known must not end the watch.
                logger.exception("Airflow's answer can't be read")
            await asyncio.sleep(LOOK_SECONDS)

    async def _health(self) -> str:
        health = await self._client.ask("GET", "/monitor/health")
        ill = [part for part in ("metadatabase", "scheduler", "dag_processor") if health[part]["status"] != "healthy"]
        return f"Airflow says that this is not healthy: {', '.join(ill)}" if ill else ""

    def _adopt(self, runs: Iterable[dict[str, Any]]) -> None:
        """Take over those of Airflow's ``runs`` that have begun and are not known."""
        store = self._service.store
        known = {(run.pipeline, names.airflow_id(run)) for run in store.runs.values()}
        for each in runs:
            # One that is queued may wait for long: until its pipeline isn't paused any more, or for a time to come.
            if each["state"] == "queued" or (each["dag_id"], each["dag_run_id"]) in known:
                continue
            try:
                if each["dag_id"] in store.pipelines:
                    self._service.adopt(self._record(each))
            except Exception:
                # What is wrong with one run must not keep the others from being followed.
                logger.exception("run %s of %s can't be taken over", each["dag_run_id"], each["dag_id"])

    def _record(self, airflow: dict[str, Any]) -> Run:
        """Return the record of a run that Airflow began by itself."""
        record = self._service.store.pipelines[airflow["dag_id"]]
        begun = datetime.fromisoformat(airflow["start_date"] or airflow["queued_at"] or airflow["run_after"])
        return Run(
            id=names.run_id(record.name, airflow["dag_run_id"]),
            engine_id=airflow["dag_run_id"],
            pipeline=record.name,
            commit=record.commit,
            digest=record.digest,
            trigger="schedule" if airflow["run_type"] == "scheduled" else "request",
            created=begun,
            started=begun,
        )
