"""What carries runs out and begins them by schedule: this service itself, or another that it stands before."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ..contract.definition import PipelineDefinition
from ..contract.records import Run


class RunFailed(Exception):
    """The run can't go on; the text says why."""


class RunStopped(Exception):
    """The run was asked to stop."""


class Attempt:
    """What one run needs while it goes on: its record, its pipeline, its end, and the wish to stop it."""

    def __init__(self, run: Run, definition: PipelineDefinition, stop: asyncio.Event) -> None:
        self.run = run
        self.definition = definition
        self.stop = stop
        self._end = asyncio.get_running_loop().time() + definition.timeout

    def seconds_left(self, limit: float | None = None) -> float:
        """Return how long something may take that has a ``limit`` (seconds) of its own.

        Raises:
            RunFailed: The run's time is over.
            RunStopped: It was asked to stop.
        """
        if self.stop.is_set():
            raise RunStopped
        left = self._end - asyncio.get_running_loop().time()
        if left <= 0:
            raise RunFailed(f"The run took longer than {self.definition.timeout} s")
        return min(left, limit or math.inf)


class Engine(Protocol):
    """What the service leaves to others.

    Attributes:
        outlives_service: Whether runs go on while the service is away.
    """

    outlives_service: bool

    async def start(self) -> None:
        """Begin; called once, in the event loop."""

    async def stop(self) -> None:
        """End; no run begins any more by itself."""

    async def catch_up(self, name: str) -> None:
        """Have the service adopt a run of ``name`` that has begun by itself: the pipeline is about to change."""

    async def set(self, name: str, expression: str | None, after: datetime) -> None:
        """Take pipeline ``name`` as the store has it, and schedule it; see :meth:`.scheduling.Schedule.set`."""

    async def remove(self, name: str) -> None:
        """Forget pipeline ``name`` with its runs."""

    def next(self, name: str) -> datetime | None:
        """Return when ``name`` runs next by itself."""

    async def carry_out(self, attempt: Attempt) -> None:
        """Carry ``attempt.run`` out to its end, whichever it is; the record says which."""

    async def settle(self, name: str, old: Sequence[str]) -> Sequence[str]:
        """Do what waits for a run of ``name`` to have ended, forget the ``old`` runs, and return those forgotten."""

    def ill(self) -> str:
        """Return what is wrong at the moment; empty when nothing is."""
