"""How the words of pipelines and those of Airflow name the same things."""

from __future__ import annotations

import re

from ..timer.cron import Cron

# No step can be called so: the task that makes a bundle's environment.
ENVIRONMENT = "_environment"
TAG = "bundle:"


def run_id(pipeline: str, airflow_id: str) -> str:
    """Return the id of a run that Airflow calls ``airflow_id``: fit for a folder, and for a variable's value."""
    plain = re.sub(r"[^0-9a-z]+", "-", airflow_id.lower()).strip("-")
    return plain if plain.startswith(f"{pipeline}-") else f"{pipeline}-{plain}"


def cron_text(schedule: str) -> str:
    """Return a schedule in numbers alone, which every parser of cron expressions reads alike."""
    cron = Cron.parse(schedule)
    fields = (cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays)
    minutes, hours, days, months, weekdays = (",".join(str(value) for value in sorted(field)) for field in fields)
    return " ".join((minutes, hours, days if cron.by_day else "*", months, weekdays if cron.by_weekday else "*"))
