"""A run as Airflow has it, in the words of pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from ..contract.records import EndState, Run, StepRun, StepState
from .names import ENVIRONMENT
from .steps import StepNote

# The note of a DAG run that somebody asked to stop: Airflow itself knows but "failed".
CANCELLED = "cancelled"
# Those of runs that were given up, which wait where a pipeline is paused, and what is said of them.
OVERDUE, PAUSED = "overdue", "paused"
GIVEN_UP = {
    OVERDUE: "Airflow did not end it in its time",
    PAUSED: "Its pipeline was paused in Airflow until its time was over",
}
STATES: dict[str, StepState] = {"success": "succeeded", "upstream_failed": "skipped", "removed": "skipped"}
UNDER_WAY = frozenset({"running", "restarting", "up_for_retry"})

Instance = Mapping[str, Any]


def take_over(run: Run, instances: Mapping[str, Instance], notes: Mapping[str, StepNote]) -> None:
    """Bring the steps of ``run`` up to date.

    Args:
        run: Its record.
        instances: Airflow's task instances, by the names of their tasks.
        notes: What the tasks have noted of their steps.
    """
    run.steps = [_step(step, instances.get(step.name, {}), notes.get(step.name)) for step in run.steps]
    prepared = instances.get(ENVIRONMENT, {}).get("state")
    run.state = "preparing" if prepared in UNDER_WAY else "running"


def _step(step: StepRun, instance: Instance, note: StepNote | None) -> StepRun:
    found = StepRun(**note.model_dump(exclude={"group"})) if note else step.model_copy()
    state = instance.get("state")
    if state in STATES:
        found.state = STATES[state]
    elif state in UNDER_WAY or (state in {"queued", "scheduled"} and note):
        found.state = "running"
    elif state in {"failed", "skipped"}:
        found.state, found.error = _ended(found, note, state)
    else:
        found.state = "waiting"
    return found


def _ended(step: StepRun, note: StepNote | None, state: str) -> tuple[Literal["failed", "lost", "skipped"], str]:
    """Return how a step ended that Airflow says failed, or was skipped, and why."""
    if note is None:
        return ("failed", f"Airflow could not begin step {step.name}") if state == "failed" else ("skipped", "")
    if note.state == "failed":
        return "failed", note.error
    # Its task didn't live to say how its step ended.
    return "lost", f"Step {step.name} was lost: its process was ended from outside"


def finish(run: Run, airflow: Instance, preparation: StepNote | None) -> None:
    """Note how ``run``, whose steps are up to date, ended.

    Args:
        run: Its record.
        airflow: Airflow's DAG run, which has ended.
        preparation: What the task that made the environment has noted.
    """
    state, error = _how_it_ended(run, airflow, preparation)
    for step in run.steps:
        if step.state == "lost" and state == "cancelled":
            step.state, step.error = "cancelled", "It was stopped"
    run.finish(state, error)


def _how_it_ended(run: Run, airflow: Instance, preparation: StepNote | None) -> tuple[EndState, str]:
    if airflow["state"] == "success":
        return "succeeded", ""
    if airflow.get("note") == CANCELLED:
        return "cancelled", "It was stopped before its end"
    if airflow.get("note") in GIVEN_UP:
        return "lost", GIVEN_UP[airflow["note"]]
    if preparation and preparation.state in {"failed", "lost"}:
        return "failed", preparation.error or "Its environment can't be made"
    for step in run.steps:
        if step.state == "lost":
            return "lost", step.error
        if step.state == "failed":
            return "failed", step.error
    return "failed", "Airflow ended it before its time"
