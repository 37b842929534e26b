"""Become Airflow's scheduler, with no more workers than the machine has cores: ``python -m …scheduler``.

Each worker is a process that waits for steps, from the scheduler's start on.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

PARALLELISM = "AIRFLOW__CORE__PARALLELISM"


def bounded(wanted: int) -> int:
    """Return how many steps may run at once where ``wanted`` may at most."""
    return min(wanted, len(os.sched_getaffinity(0)))


if __name__ == "__main__":
    os.environ[PARALLELISM] = str(bounded(int(os.environ[PARALLELISM])))
    # Logs are read from their files, so it needn't serve them.
    program = str(Path(sys.executable).with_name("airflow"))
    os.execv(program, [program, "scheduler", "--skip-serve-logs"])  # noqa: S606  # becomes it, without a shell between
