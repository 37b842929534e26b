"""Measured figures beside their goals."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TERRACE = Path(sys.executable).with_name("terrace")


@dataclass(frozen=True)
class Figure:
    """A measured value.

    Attributes:
        name: What was measured.
        value: The median.
        unit: Its unit.
        goal: What it should stay below; None where there is no goal.
        runs: How many measurements the median is of.
        at_least: The goal is what it should reach, as with a ratio.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None
    runs: int = 1
    at_least: bool = False


def median_seconds(call: Callable[[], object], runs: int) -> float:
    """Return the median time (seconds) of ``runs`` calls, after one that isn't counted."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def terrace(*arguments: str) -> None:
    """Run the command line; raise where it fails."""
    done = subprocess.run([TERRACE, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"terrace {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")


def show(figures: Iterable[Figure]) -> None:
    """Print a line per figure."""
    for figure in figures:
        bound = "at least " if figure.at_least else ""
        goal = f"goal {bound}{figure.goal:g} {figure.unit}" if figure.goal is not None else ""
        runs = f"median of {figure.runs}" if figure.runs > 1 else "one run"
        sys.stdout.write(f"{figure.name:<44} {figure.value:>9.2f} {figure.unit:<4} {goal:<17} ({runs})\n")
        sys.stdout.flush()
