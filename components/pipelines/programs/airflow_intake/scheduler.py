"""Become Airflow's scheduler, with no more workers than the machine has cores: ``python -m …scheduler``.

Each worker is a process that waits for steps, from the scheduler's start on. Begun before the API server answers, they
would fail the steps that it hands them.
"""

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PARALLELISM = "AIRFLOW__CORE__PARALLELISM"
ANSWERS_WITHIN_SECONDS, PAUSE_SECONDS = 90.0, 0.5


def bounded(wanted: int) -> int:
    """Return how many steps may run at once where ``wanted`` may at most."""
    return min(wanted, len(os.sched_getaffinity(0)))


def wait_for_answer(url: str, seconds: float) -> bool:
    """Wait for ``url`` to answer, whatever it says, and tell whether it has within ``seconds``."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with opener.open(url, timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            time.sleep(PAUSE_SECONDS)
    return False


if __name__ == "__main__":
    os.environ[PARALLELISM] = str(bounded(int(os.environ[PARALLELISM])))
    # It begins in any case: an API server that comes later is better than no scheduler.
    wait_for_answer(os.environ["AIRFLOW_INTAKE_URL"], ANSWERS_WITHIN_SECONDS)
    # Logs are read from their files, so it needn't serve them.
    program = str(Path(sys.executable).with_name("airflow"))
    os.execv(program, [program, "scheduler", "--skip-serve-logs"])  # noqa: S606  # becomes it, without a shell between
