"""How long the commands take that a person waits for."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure, median_seconds, terrace

RUNS = 5


def measure(env: str) -> Iterator[Figure]:
    """Measure ``--help``, a preview, and an ``up`` with nothing to change; the last needs a platform that is up."""
    yield Figure("terrace --help", median_seconds(lambda: terrace("--help"), RUNS), "s", 0.3, RUNS)
    yield Figure(
        f"terrace preview {env}", median_seconds(lambda: terrace("preview", env, "--json"), RUNS), "s", 2, RUNS
    )
    unchanged = median_seconds(lambda: terrace("up", env, "--yes", "--json"), RUNS)
    yield Figure(f"terrace up {env}, nothing to change", unchanged, "s", 10, RUNS)
