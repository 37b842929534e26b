"""How much memory the platform's processes take together.

PSS (proportional set size) counts a page that several processes share once, so the sum is what the machine really
gives. It needs root to read the pages of other users' processes.
"""

from __future__ import annotations

import os
import pwd
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

from benchmarks.figures import Figure

INTERVAL_SECONDS = 1.0


def by_user(env: str) -> dict[str, float]:
    """Return the PSS (MB) of the environment's processes, summed by their system user."""
    prefix = f"terrace-{env}-"
    totals: dict[str, float] = defaultdict(float)
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            user = pwd.getpwuid(folder.stat().st_uid).pw_name
            if user.startswith(prefix):
                totals[user.removeprefix(prefix)] += pss_kb(folder) / 1000
        except (OSError, KeyError):  # it ended meanwhile, or its user has no name
            continue
    return totals


def measure(env: str) -> Iterator[Figure]:
    """Measure the memory of every service as it is now, and of all together."""
    if os.geteuid() != 0:
        raise SystemExit("the memory of the services' processes is shown to root alone: run it as root")
    services = by_user(env)
    for service, megabytes in sorted(services.items()):
        yield Figure(f"memory of {service}", megabytes, "MB")
    yield Figure("memory of the whole platform", sum(services.values()), "MB")


class Peak:
    """Watches memory in the background; ``megabytes`` is the most that it was.

    Args:
        megabytes: What it is now.
        interval: Seconds between two looks.
    """

    def __init__(self, megabytes: Callable[[], float], interval: float = INTERVAL_SECONDS) -> None:
        self.megabytes = 0.0
        self._now = megabytes
        self._interval = interval
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self.megabytes = max(self.megabytes, self._now())


def pss_kb(process: Path) -> int:
    """Return the PSS (kB) of the process with this folder in ``/proc``."""
    for line in (process / "smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0
