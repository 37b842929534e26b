"""What the gateway adds to a prediction and to a look at features: beside the service alone, in turns, in one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from benchmarks.figures import Figure
from benchmarks.platform import Call, platform

WARM_UP = 20
REQUESTS = 400
CLIENTS = 4
SECONDS = 4.0


def measure(env: str) -> Iterator[Figure]:
    """Measure both services, with and without the gateway."""
    found = platform(env)
    yield from _compare("prediction", lambda gateway: found.prediction(gateway=gateway))
    yield from _compare("feature lookup", lambda gateway: found.lookup(gateway=gateway))


def _compare(what: str, call: Callable[[bool], Call]) -> Iterator[Figure]:
    calls = {"through the gateway": call(True), "service alone": call(False)}
    seconds: dict[str, list[float]] = {way: [] for way in calls}
    for number in range(WARM_UP + REQUESTS):
        for way, one in calls.items():  # in turns, so that whatever else the machine does meets both
            begun = time.perf_counter()
            one()
            if number >= WARM_UP:
                seconds[way].append(time.perf_counter() - begun)
    medians = {way: _percentile(times, 50) for way, times in seconds.items()}
    for way, times in seconds.items():
        yield Figure(f"{what}, {way}, p50", medians[way] * 1000, "ms", runs=REQUESTS)
        yield Figure(f"{what}, {way}, p99", _percentile(times, 99) * 1000, "ms", runs=REQUESTS)
    added = (medians["through the gateway"] / medians["service alone"] - 1) * 100
    yield Figure(f"{what}, p50 that the gateway adds", added, "%", 20, REQUESTS)
    for way, gateway in (("through the gateway", True), ("service alone", False)):
        yield Figure(f"{what}, {way}, {CLIENTS} clients", _throughput(partial(call, gateway)), "/s")


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[round((len(values) - 1) * percent / 100)]


def _throughput(call: Callable[[], Call]) -> float:
    """Return the answered requests a second of several clients, each with a connection of its own."""

    def client(one: Call) -> int:
        answered = 0
        while time.monotonic() < end:
            one()
            answered += 1
        return answered

    calls = [call() for _ in range(CLIENTS)]
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(client, calls)) / SECONDS
