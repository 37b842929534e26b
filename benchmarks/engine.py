"""How the embedded engine compares with the Pulumi CLI, and with the SDK alone.

``python -m benchmarks.engine --plot`` measures how the cost grows with the number of resources, and draws it.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator

from benchmarks.engine_runs import CLI, EMBEDDED, FLOOR, Cost, Engines, engines
from benchmarks.figures import Figure, show

RUNS = 3
SMALL, LARGE = 3, 1000
SIZES = (100, 300, 1000, 3000, 10_000)
LARGEST_OF_CLI = 1000
Growth = dict[tuple[str, str], dict[int, Cost]]
_NAMES = {EMBEDDED: "embedded engine", CLI: "Pulumi CLI", FLOOR: "SDK alone"}


def measure(_env: str) -> Iterator[Figure]:
    """Measure what there are goals for. The environment doesn't matter."""
    with engines() as found:
        yield from _compare(found, "preview", SMALL, {EMBEDDED: RUNS, CLI: RUNS, FLOOR: RUNS}, faster=3)
        yield from _compare(found, "preview", LARGE, {EMBEDDED: RUNS, CLI: 1, FLOOR: RUNS}, faster=2)
        yield from _compare(found, "up", LARGE, {EMBEDDED: RUNS, CLI: 1}, faster=5, smaller=4)


def growth(found: Engines) -> Growth:
    """Measure every size once, the CLI's up to where it takes minutes."""
    costs: Growth = {}
    for size in SIZES:
        for engine, operation in (
            (FLOOR, "preview"),
            (EMBEDDED, "preview"),
            (EMBEDDED, "up"),
            (CLI, "preview"),
            (CLI, "up"),
        ):
            if engine != CLI or (found.cli and size <= LARGEST_OF_CLI):
                costs.setdefault((engine, operation), {})[size] = found.run(engine, operation, size)
    return costs


def figures(costs: Growth) -> Iterator[Figure]:
    """What the growth is, in figures."""
    for (engine, operation), of_size in costs.items():
        for size, cost in of_size.items():
            yield Figure(f"{operation} of {size}, {_NAMES[engine]}", cost.seconds, "s")


def _compare(
    found: Engines, operation: str, count: int, runs: dict[str, int], *, faster: float, smaller: float | None = None
) -> Iterator[Figure]:
    """The figures of each engine, in turns, so that whatever else the machine does meets all of them."""
    wanted = {engine: number for engine, number in runs.items() if engine != CLI or found.cli}
    costs: dict[str, list[Cost]] = {engine: [] for engine in wanted}
    for turn in range(max(wanted.values())):
        for engine, number in wanted.items():
            if turn < number:
                costs[engine].append(found.run(engine, operation, count))
    seconds = {engine: statistics.median(cost.seconds for cost in of) for engine, of in costs.items()}
    megabytes = {engine: statistics.median(cost.megabytes for cost in of) for engine, of in costs.items()}
    what = f"{operation} of {count}"
    for engine, number in wanted.items():
        yield Figure(f"{what}, {_NAMES[engine]}", seconds[engine], "s", runs=number)
        yield Figure(f"{what}, {_NAMES[engine]}, memory", megabytes[engine], "MB", runs=number)
    if found.cli:
        yield _ratio(f"{what}, faster than the CLI", seconds, faster, runs[CLI])
        if smaller is not None:
            yield _ratio(f"{what}, less memory than the CLI", megabytes, smaller, runs[CLI])


def _ratio(name: str, of: dict[str, float], goal: float, runs: int) -> Figure:
    return Figure(name, of[CLI] / of[EMBEDDED], "x", goal, runs, at_least=True)


def main() -> None:
    """Show the figures, or draw the growth."""
    parser = argparse.ArgumentParser(prog="benchmarks.engine", description=__doc__)
    parser.add_argument("--plot", action="store_true", help="draw the growth; takes many minutes, and matplotlib")
    if not parser.parse_args().plot:
        show(measure(""))
        return
    from benchmarks.engine_plot import draw

    with engines() as found:
        costs = growth(found)
    show(figures(costs))
    draw({key: {size: cost.seconds for size, cost in of.items()} for key, of in costs.items()})


if __name__ == "__main__":
    main()
