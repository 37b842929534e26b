"""How the words of pipelines and those of Airflow name the same things."""

from __future__ import annotations

import hashlib
import re

from ..contract.cron import Cron
from ..contract.records import Run

# No step can be called so: the task that makes a bundle's environment.
ENVIRONMENT = "_environment"
TAG = "bundle:"
# The tasks keep the time of the run themselves; Airflow ends what fails to (seconds).
OVERTIME_SECONDS = 60
# The ids that the service gives to runs, and those that Airflow does.
SERVICES_ID = r"{}-\d{{8}}t\d{{6}}-[0-9a-f]{{6}}"
AIRFLOWS_ID = r"(manual|scheduled)__\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00"
LONGEST_PLAIN = 80


def run_id(pipeline: str, airflow_id: str) -> str:
    """Return the id of a run that Airflow calls ``airflow_id``: fit for a folder, and for a variable's value.

    One that a person thought up has a digest, without which two of them could become one.
    """
    if re.fullmatch(SERVICES_ID.format(re.escape(pipeline)), airflow_id):
        return airflow_id
    plain = re.sub(r"[^0-9a-z]+", "-", airflow_id.lower()).strip("-")
    if re.fullmatch(AIRFLOWS_ID, airflow_id):
        return f"{pipeline}-{plain}"
    digest = hashlib.sha256(f"{pipeline}/{airflow_id}".encode()).hexdigest()
    return f"{pipeline}-{plain[:LONGEST_PLAIN]}-{digest[:12]}"


def airflow_id(run: Run) -> str:
    """Return what Airflow calls ``run``."""
    return run.engine_id or run.id


def cron_text(schedule: str) -> str:
    """Return a schedule in numbers alone, which every parser of cron expressions reads alike."""
    cron = Cron.parse(schedule)
    fields = (cron.minutes, cron.hours, cron.days, cron.months, cron.weekdays)
    minutes, hours, days, months, weekdays = (",".join(str(value) for value in sorted(field)) for field in fields)
    return " ".join((minutes, hours, days if cron.by_day else "*", months, weekdays if cron.by_weekday else "*"))
