"""When pipelines run by themselves: cron expressions on APScheduler, in UTC."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger

from ..contract.cron import WEEKDAYS, Cron
from ..contract.records import now


def cron_trigger(expression: str) -> BaseTrigger:
    """Return the trigger of a cron expression.

    APScheduler counts weekdays from Monday and asks for both day fields to match; cron(8) counts from Sunday and,
    when both are restricted, asks for either.
    """
    cron = Cron.parse(expression)
    days = {"day": _list(cron.days)}
    weekdays = {"day_of_week": ",".join(WEEKDAYS[day] for day in sorted(cron.weekdays))}
    if cron.by_day and cron.by_weekday:
        return OrTrigger([_trigger(cron, days), _trigger(cron, weekdays)])
    return _trigger(cron, {**days, **weekdays})


def _trigger(cron: Cron, days: dict[str, str]) -> CronTrigger:
    return CronTrigger(
        minute=_list(cron.minutes), hour=_list(cron.hours), month=_list(cron.months), timezone=UTC, **days
    )


def _list(values: frozenset[int]) -> str:
    return ",".join(str(value) for value in sorted(values))


class Schedule:
    """The scheduled pipelines.

    Args:
        fire: Called with a pipeline's name when its time has come.
        trigger: Makes a trigger of a pipeline's schedule.
    """

    def __init__(
        self, fire: Callable[[str], Awaitable[None]], trigger: Callable[[str], BaseTrigger] = cron_trigger
    ) -> None:
        self._fire = fire
        self._trigger = trigger
        # A time that was missed, by however much, is made up for once.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC, job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )

    def start(self) -> None:
        """Begin; must be called in the event loop."""
        self._scheduler.start()

    def stop(self) -> None:
        """End; nothing fires any more."""
        self._scheduler.shutdown(wait=False)

    def set(self, name: str, expression: str | None, after: datetime) -> None:
        """Schedule ``name``; without an expression, no longer.

        Args:
            name: The pipeline.
            expression: Its cron expression.
            after: Times up to this one have been dealt with. One between it and now was missed, and fires at once.
        """
        if expression is None:
            self.remove(name)
            return
        trigger = self._trigger(expression)
        first = trigger.get_next_fire_time(None, after + timedelta(microseconds=1))
        missed = first is not None and first <= now()
        self._scheduler.add_job(
            self._fire,
            trigger,
            args=[name],
            id=name,
            name=name,
            replace_existing=True,
            next_run_time=now() if missed else first,
        )

    def remove(self, name: str) -> None:
        """No longer schedule ``name``."""
        if self._scheduler.get_job(name):
            self._scheduler.remove_job(name)

    def next(self, name: str) -> datetime | None:
        """Return when ``name`` runs next by itself."""
        job = self._scheduler.get_job(name)
        following: datetime | None = getattr(job, "next_run_time", None)
        return following
