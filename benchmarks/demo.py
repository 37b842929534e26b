"""How long the whole demo takes, and the most memory that the platform takes meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks.figures import Figure, terrace
from benchmarks.memory import Peak, by_user


def measure(env: str) -> Iterator[Figure]:
    """Run the demo once, from whatever state the platform is in."""
    start = time.perf_counter()
    with Peak(lambda: sum(by_user(env).values())) as peak:
        terrace("demo", env, "--yes", "--json")
    yield Figure(f"terrace demo {env}", time.perf_counter() - start, "s", 360)
    yield Figure("most memory of the platform meanwhile", peak.megabytes, "MB")
