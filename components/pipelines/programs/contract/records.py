"""What the service keeps and answers: runs and their steps. Shared by the service and its clients."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

EndState = Literal["succeeded", "failed", "cancelled", "lost"]
RunState = Literal["queued", "preparing", "running"] | EndState
StepState = Literal["waiting", "running", "succeeded", "failed", "cancelled", "lost", "skipped"]
Trigger = Literal["request", "schedule"]

ENDED: frozenset[str] = frozenset(get_args(EndState))


def now() -> datetime:
    """Return the present time in UTC."""
    return datetime.now(UTC)


class _Record(BaseModel):
    model_config = ConfigDict(extra="ignore", validate_assignment=True)


class StepRun(_Record):
    """One step of one run.

    ``seconds`` spans all attempts; ``exit_code`` is the last attempt's (128 + n when signal n ended it).
    """

    name: str
    state: StepState = "waiting"
    attempts: int = 0
    exit_code: int | None = None
    started: datetime | None = None
    seconds: float | None = None
    error: str = ""


class ProcessGroup(_Record):
    """The processes of a step: their group, and when its leader started (clock ticks since boot)."""

    id: int
    started: int | None


class Run(_Record):
    """One run of a pipeline.

    ``error`` says in one sentence why it did not succeed; ``engine_id`` is the id that the engine gave a run which it
    began by itself.
    """

    id: str
    engine_id: str = ""
    pipeline: str
    commit: str
    digest: str
    trigger: Trigger
    state: RunState = "queued"
    created: datetime = Field(default_factory=now)
    started: datetime | None = None
    finished: datetime | None = None
    seconds: float | None = None
    error: str = ""
    steps: list[StepRun] = Field(default_factory=list)
    group: ProcessGroup | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing of it will change any more."""
        return self.state in ENDED

    def finish(self, state: EndState, error: str = "") -> None:
        """Note how the run ended; a step that was still running ended like it, those after it are skipped."""
        self.state, self.error, self.group, self.finished = state, error, None, now()
        self.seconds = (self.finished - (self.started or self.created)).total_seconds()
        for step in self.steps:
            if step.state == "running":
                step.state, step.error = state, error
            elif step.state == "waiting":
                step.state = "skipped"


class PipelineRecord(_Record):
    """A pipeline as it was sent last.

    Args:
        scheduled_after: Scheduled times up to this one have been dealt with.
        run_counts: How many runs ended in each state, over the pipeline's whole life.
        attempt_counts: How often each step was tried, likewise.
    """

    name: str
    digest: str
    commit: str
    uploaded: datetime = Field(default_factory=now)
    scheduled_after: datetime = Field(default_factory=now)
    run_counts: dict[str, int] = Field(default_factory=dict)
    attempt_counts: dict[str, int] = Field(default_factory=dict)
    last_success: datetime | None = None


class PipelineStatus(_Record):
    """A pipeline as the API shows it."""

    name: str
    description: str
    schedule: str | None
    next_run: datetime | None
    steps: list[str]
    digest: str
    commit: str
    uploaded: datetime
    last_run: Run | None
