"""Measured figures beside their goals."""

from __future__ import annotations

import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
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


def say(step: str) -> None:
    """Tell on standard error what is done now, for who waits."""
    sys.stderr.write(f"  {time.strftime('%X')} {step}\n")
    sys.stderr.flush()


def watched(*arguments: str, variables: Mapping[str, str] | None = None) -> float:
    """Run the command line with its lines on standard error, and return how long it took (seconds).

    An interruption is passed on, and its end in good order waited for: it leaves no lock behind.

    Args:
        arguments: What follows ``terrace``.
        variables: The environment variables; None for the present ones.

    Raises:
        RuntimeError: It failed.
    """
    say(f"terrace {' '.join(arguments)}"[:100])
    begun = time.perf_counter()
    with subprocess.Popen(
        [TERRACE, *arguments], cwd=ROOT, env=variables, stdout=sys.stderr, start_new_session=True
    ) as process:
        try:
            code = process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            raise
    if code != 0:
        raise RuntimeError(f"terrace {arguments[0]} ended with {code}; what it said stands above")
    return time.perf_counter() - begun


def end_in_order() -> None:
    """Have every request to end taken as Ctrl-C is, so that what was made is removed; also where a shell ignores it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def show(figures: Iterable[Figure]) -> None:
    """Print a line per figure."""
    for figure in figures:
        bound = "at least " if figure.at_least else ""
        goal = f"goal {bound}{figure.goal:g} {figure.unit}" if figure.goal is not None else ""
        runs = f"median of {figure.runs}" if figure.runs > 1 else "one run"
        sys.stdout.write(f"{figure.name:<56} {figure.value:>9.2f} {figure.unit:<4} {goal:<17} ({runs})\n")
        sys.stdout.flush()
