"""DAGs of pipelines. Read by Airflow: by its DAG processor, and by each task for itself."""

from __future__ import annotations

import asyncio
import itertools
import os
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, BaseOperator, CronTriggerTimetable
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ..contract.definition import LONGEST_PAUSE_SECONDS, StepDefinition
from ..contract.records import Run
from ..intake.settings import Settings
from .names import ENVIRONMENT, OVERTIME_SECONDS, TAG, cron_text, run_id
from .steps import StepFailed, Task, bundle, carry_out, definition_of


class StepOperator(BaseOperator):  # type: ignore[misc]
    """A task that carries out one step of a bundle, or makes its environment."""

    ui_color = "#e8f0fe"

    def __init__(self, *, digest: str, commit: str, **options: Any) -> None:
        super().__init__(**options)
        self.digest = digest
        self.commit = commit
        self._stop: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None

    def execute(self, context: Any) -> None:
        """Carry the attempt out.

        Raises:
            AirflowException: It failed and may be tried again.
            AirflowFailException: It failed, and another attempt would, too.
        """
        started = context["dag_run"].start_date
        run = Run(
            id=run_id(self.dag_id, context["run_id"]),
            pipeline=self.dag_id,
            commit=self.commit,
            digest=self.digest,
            trigger="request",
            started=started and datetime.fromisoformat(started.isoformat()),
        )
        try:
            asyncio.run(self._carry_out(Task(run, self.task_id, context["ti"].try_number)))
        except StepFailed as error:
            kind = AirflowFailException if error.final else AirflowException
            raise kind(str(error)) from None

    def on_kill(self) -> None:
        """End the step's processes: Airflow wants the task to end."""
        if self._stop:
            loop, stop = self._stop
            loop.call_soon_threadsafe(stop.set)

    async def _carry_out(self, task: Task) -> None:
        stop = asyncio.Event()
        self._stop = asyncio.get_running_loop(), stop
        await carry_out(Settings.from_environment(os.environ), task, stop)


def pipeline(name: str, digest: str, commit: str, after: str) -> DAG:
    """Return the DAG of the pipeline called ``name``.

    Args:
        name: The pipeline.
        digest: Its bundle.
        commit: Where the bundle came from.
        after: Scheduled times up to this one have been dealt with; one since then is made up for, once.
    """
    settings = Settings.from_environment(os.environ)
    definition = definition_of(settings, digest)
    schedule = definition.schedule
    dag = DAG(
        name,
        description=definition.description or None,
        schedule=CronTriggerTimetable(cron_text(schedule), timezone="UTC") if schedule else None,
        start_date=datetime.fromisoformat(after),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(seconds=definition.timeout + OVERTIME_SECONDS),
        tags=[TAG + digest],
        is_paused_upon_creation=False,
    )
    folder = bundle(settings, digest)
    tasks = [_task(dag, digest, commit, step) for step in definition.steps]
    if (folder / "uv.lock").is_file():
        tasks.insert(0, _task(dag, digest, commit, None))
    for before, following in itertools.pairwise(tasks):
        before >> following
    return dag


def _task(dag: DAG, digest: str, commit: str, step: StepDefinition | None) -> StepOperator:
    return StepOperator(
        dag=dag,
        digest=digest,
        commit=commit,
        task_id=step.name if step else ENVIRONMENT,
        owner="pipelines",
        retries=step.retries if step else 0,
        retry_delay=timedelta(seconds=1),
        retry_exponential_backoff=2,
        max_retry_delay=timedelta(seconds=LONGEST_PAUSE_SECONDS),
        do_xcom_push=False,
    )
