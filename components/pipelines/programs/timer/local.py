"""The service's own engine: runs in this process, schedules by APScheduler."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..intake.engine import Attempt
from ..intake.service import Service
from .runner import Runner
from .scheduling import Schedule


class LocalEngine:
    """Carries the runs of ``service`` out by itself."""

    outlives_service = False

    def __init__(self, service: Service) -> None:
        self._runner = Runner(service.settings, service.store, service.bundles)
        self._schedule = Schedule(service.fire)

    async def start(self) -> None:
        """Begin the schedules."""
        self._schedule.start()

    async def stop(self) -> None:
        """End them."""
        self._schedule.stop()

    async def catch_up(self, name: str) -> None:
        """Do nothing: each run is begun by the service."""

    async def set(self, name: str, expression: str | None, after: datetime) -> None:
        """Schedule ``name``; see :meth:`.scheduling.Schedule.set`."""
        self._schedule.set(name, expression, after)

    async def remove(self, name: str) -> None:
        """No longer schedule ``name``."""
        self._schedule.remove(name)

    def next(self, name: str) -> datetime | None:
        """Return when ``name`` runs next by itself."""
        return self._schedule.next(name)

    async def carry_out(self, attempt: Attempt) -> None:
        """Carry ``attempt.run`` out to its end."""
        await self._runner.carry_out(attempt)

    async def settle(self, name: str, old: Sequence[str]) -> Sequence[str]:
        """Return ``old``: all that is known of runs is in the store."""
        return old

    def ill(self) -> str:
        """Return nothing: a service that answers is well."""
        return ""
