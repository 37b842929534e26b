"""Cleans once a day: ``python -m mlflow_cleanup``.

It takes MLflow's own environment, and

- ``CLEANUP_KEEP_DAYS``, how long what was deleted can be brought back,
- ``CLEANUP_AT``, when to clean (hour and minute, local time),
- ``CLEANUP_RECORDS``, the folder of what it remembers,
- ``CLEANUP_SERVER``, the address on loopback of the tracking server, which removes artifacts,
- ``CLEANUP_USER``, its administrator's account,
- ``CLEANUP_AUDIT_PORT``, the audit log's port on loopback, where there is one.

The cleaning itself is a process of its own, which loads MLflow and ends: between two of them little memory is taken.
"""

from __future__ import annotations

import datetime
import logging
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .records import Records
from .telling import tell

LOG = logging.getLogger(__name__)
LOOK_SECONDS = 15  # between two looks at whether it's time
RETRY_SECONDS = 3600  # after an attempt that failed or was killed
AHEAD_SECONDS = 60  # by which an attempt may lie ahead of the clock, when it is corrected
JOB = (sys.executable, "-m", "mlflow_cleanup.job")


def due(state: Mapping[str, Any], now: float, at: str) -> bool:
    """Return whether it's time: there was none yet, a day's is missing, or the last one failed a while ago.

    Nobody knows how long ago one was that lies ahead: the clock was set back since.
    """
    started = state["started"]
    if started is None or started > now + AHEAD_SECONDS:
        return True
    failed = state["error"] or state["ended"] is None
    return bool(started < _latest(now, at) or (failed and now - started >= RETRY_SECONDS))


def _latest(now: float, at: str) -> float:
    """Return when the time of day ``at`` was last, in local time."""
    today = datetime.datetime.fromtimestamp(now)  # the option is the host's own time
    hour, minute = map(int, at.split(":"))
    moment = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (moment if moment <= today else moment - datetime.timedelta(days=1)).timestamp()


def clean(records: Records, command: tuple[str, ...] = JOB) -> None:
    """Clean, and note how it ended; the log has the rest."""
    records.note(started=time.time(), ended=None)
    code = subprocess.run(command, check=False).returncode
    ended, failed = time.time(), records.state()["failed"]
    if code == 0 and not failed:
        records.note(ended=ended, succeeded=ended, error="")
        return
    error = f"{failed} could not be removed" if code == 0 else f"the cleaning ended with {code}"
    LOG.error("%s; it is tried again in an hour", error)
    records.note(ended=ended, error=error)


def main() -> None:
    """Run until the process is ended."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    records, at = Records(Path(os.environ["CLEANUP_RECORDS"])), os.environ["CLEANUP_AT"]
    port = int(os.environ["CLEANUP_AUDIT_PORT"]) if "CLEANUP_AUDIT_PORT" in os.environ else None
    while True:
        if due(records.state(), time.time(), at):
            clean(records)
        tell(records, port)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
