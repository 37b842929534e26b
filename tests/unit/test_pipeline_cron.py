"""Cron expressions, and when APScheduler runs them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from components.pipelines.programs.contract.cron import Cron
from components.pipelines.programs.contract.records import now
from components.pipelines.programs.timer.scheduling import Schedule, cron_trigger

START = datetime(2026, 1, 1, tzinfo=UTC)


def following(expression: str, count: int) -> list[str]:
    trigger, times, at = cron_trigger(expression), [], START
    for _ in range(count):
        at = trigger.get_next_fire_time(None, at)
        times.append(f"{at:%a %d %b %H:%M}")
        at += timedelta(seconds=1)
    return times


@pytest.mark.parametrize(
    ("expression", "times"),
    [
        ("0 6 * * 1", ["Mon 05 Jan 06:00", "Mon 12 Jan 06:00"]),
        ("0 6 * * mon", ["Mon 05 Jan 06:00", "Mon 12 Jan 06:00"]),
        ("0 0 * * 0", ["Sun 04 Jan 00:00", "Sun 11 Jan 00:00"]),
        ("0 0 * * 7", ["Sun 04 Jan 00:00", "Sun 11 Jan 00:00"]),
        ("0 0 * * 5-7", ["Fri 02 Jan 00:00", "Sat 03 Jan 00:00", "Sun 04 Jan 00:00", "Fri 09 Jan 00:00"]),
        ("*/20 3 * * *", ["Thu 01 Jan 03:00", "Thu 01 Jan 03:20", "Thu 01 Jan 03:40", "Fri 02 Jan 03:00"]),
        ("50/5 23 31 JAN,mar *", ["Sat 31 Jan 23:50", "Sat 31 Jan 23:55", "Tue 31 Mar 23:50"]),
        ("5,10 0 1-3/2 * *", ["Thu 01 Jan 00:05", "Thu 01 Jan 00:10", "Sat 03 Jan 00:05"]),
        # Both day fields restricted: either of them.
        ("0 0 13 * 5", ["Fri 02 Jan 00:00", "Fri 09 Jan 00:00", "Tue 13 Jan 00:00", "Fri 16 Jan 00:00"]),
        ("0 0 29 2 *", ["Tue 29 Feb 00:00"]),
    ],
)
def test_times_are_those_of_cron(expression: str, times: list[str]) -> None:
    assert following(expression, len(times)) == times


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("0 6 * *", "five fields (minute hour day month weekday), not 4"),
        ("60 6 * * *", "minute 60 is not between 0 and 59"),
        ("0 24 * * *", "hour 24 is not between 0 and 23"),
        ("0 0 0 * *", "day of month 0 is not between 1 and 31"),
        ("0 0 * 13 *", "month 13 is not between 1 and 12"),
        ("0 0 * * 8", "day of week 8 is not between 0 and 7"),
        ("0 0 * * foo", "day of week 'foo' is not a number or a name like 'mon'"),
        ("jan 0 * * *", "minute 'jan' is not a number"),
        ("5-1 0 * * *", "minute range '5-1' ends before it begins"),
        ("*/0 * * * *", "minute '*/0' has a step of 0"),
        ("1,, * * * *", "minute '' is not '*', a value"),
        ("@daily * * * *", "minute '@daily' is not '*', a value"),
        ("0 0 30 2 *", "no such day exists in these months"),
    ],
)
def test_what_is_no_schedule_is_said(expression: str, why: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        Cron.parse(expression)
    assert why in str(error.value)


def test_a_day_that_no_month_has_is_fine_beside_a_weekday() -> None:
    assert following("0 0 30 2 mon", 2) == ["Mon 02 Feb 00:00", "Mon 09 Feb 00:00"]


def fired(seconds: float, *steps: tuple[str | None, datetime]) -> list[str]:
    """Return what fires within ``seconds`` when pipeline ``p`` is scheduled as ``steps`` say, one after the other."""
    names: list[str] = []

    async def fire(name: str) -> None:
        names.append(name)

    async def scenario() -> None:
        schedule = Schedule(fire, lambda expression: IntervalTrigger(seconds=float(expression), timezone=UTC))
        schedule.start()
        for expression, after in steps:
            schedule.set("p", expression, after)
        await asyncio.sleep(seconds)
        schedule.stop()

    asyncio.run(scenario())
    return names


def test_a_pipeline_fires_each_time_its_time_comes() -> None:
    assert len(fired(1.1, ("0.2", now() - timedelta(seconds=1)))) in {4, 5, 6}


def test_a_pipeline_does_not_fire_before_its_time() -> None:
    assert fired(0.3, ("3600", now())) == []


def test_missed_times_fire_once() -> None:
    missed = IntervalTrigger(seconds=3600, start_date=START, timezone=UTC)
    names: list[str] = []

    async def fire(name: str) -> None:
        names.append(name)

    async def scenario() -> datetime | None:
        schedule = Schedule(fire, lambda _: missed)
        schedule.start()
        schedule.set("p", "hourly", now() - timedelta(days=30))
        await asyncio.sleep(0.3)
        following = schedule.next("p")
        schedule.stop()
        return following

    following = asyncio.run(scenario())
    assert names == ["p"]
    assert following is not None
    assert timedelta(0) < following - now() <= timedelta(hours=1)


def test_a_schedule_that_is_taken_away_no_longer_fires() -> None:
    assert fired(0.6, ("0.2", now() - timedelta(seconds=1)), (None, now())) == []
