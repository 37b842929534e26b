"""Cron expressions with the meaning that cron(8) gives them, whichever scheduler runs them."""

from __future__ import annotations

import re
from dataclasses import dataclass

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

_PART = re.compile(r"(?P<first>\*|[0-9]+|[a-z]{3})(?:-(?P<last>[0-9]+|[a-z]{3}))?(?:/(?P<step>[0-9]+))?")


@dataclass(frozen=True)
class _Field:
    name: str
    lowest: int
    highest: int
    words: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Return the value that ``text`` (a number or a name) stands for."""
        value = int(text) if text.isdigit() else self._word(text)
        if not self.lowest <= value <= self.highest:
            raise ValueError(f"{self.name} {text} is not between {self.lowest} and {self.highest}")
        return value

    def _word(self, text: str) -> int:
        if text not in self.words:
            example = f" or a name like '{self.words[1]}'" if self.words else ""
            raise ValueError(f"{self.name} '{text}' is not a number{example}")
        return self.words.index(text) + self.lowest

    def values(self, text: str) -> frozenset[int]:
        """Return all values that the field's ``text`` allows."""
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, part: str) -> range:
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(
                f"{self.name} '{part}' is not '*', a value, a range 'a-b', or one of them with a step '/n'"
            )
        step = int(match["step"] or 1)
        if step == 0:
            raise ValueError(f"{self.name} '{part}' has a step of 0")
        if match["first"] == "*":
            return range(self.lowest, self.highest + 1, step)
        first = self.number(match["first"])
        # cron(8) extensions read `a/n` as "from a on, each n-th".
        last = self.number(match["last"]) if match["last"] else (self.highest if match["step"] else first)
        if last < first:
            raise ValueError(f"{self.name} range '{part}' ends before it begins")
        return range(first, last + 1, step)


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, MONTHS)
_WEEKDAY = _Field("day of week", 0, 7, WEEKDAYS)


@dataclass(frozen=True)
class Cron:
    """A parsed expression: the values that each field allows, and which of the two day fields are restricted.

    Weekdays count from 0 (Sunday) to 6 (Saturday).
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    by_day: bool
    by_weekday: bool

    @classmethod
    def parse(cls, text: str) -> Cron:
        """Parse five fields: minute, hour, day of month, month, day of week.

        Raises:
            ValueError: It is not such an expression, or no day ever matches it.
        """
        fields = text.lower().split()
        if len(fields) != 5:
            raise ValueError(f"a schedule has five fields (minute hour day month weekday), not {len(fields)}")
        minute, hour, day, month, weekday = fields
        cron = cls(
            minutes=_MINUTE.values(minute),
            hours=_HOUR.values(hour),
            days=_DAY.values(day),
            months=_MONTH.values(month),
            weekdays=frozenset(value % 7 for value in _WEEKDAY.values(weekday)),
            by_day=not day.startswith("*"),
            by_weekday=not weekday.startswith("*"),
        )
        if not cron.by_weekday and min(cron.days) > max(LONGEST_MONTHS[number - 1] for number in cron.months):
            raise ValueError("no such day exists in these months, so it would never run")
        return cron
