"""The cleanup's numbers on the tracking server's page of metrics."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .records import Records

PREFIX = "terrace_cleanup_"
GAUGES = {
    "failed": "How many deleted things could not be removed the last time.",
    "held": "How many deleted things stay, because something needs their artifacts.",
    "waiting": "How many deleted things can still be brought back.",
}


class Page(Collector):
    """They are read from its records each time; what isn't known yet is left out."""

    def __init__(self, records: Records) -> None:
        self._records = records

    def collect(self) -> Iterator[Metric]:
        """Return them."""
        state = self._records.state()
        if state["ended"] is None and state["succeeded"] is None and not state["error"]:
            return
        yield _gauge("last_run_succeeded", "Whether the last cleanup that has ended succeeded.", not state["error"])
        if state["succeeded"]:
            yield _gauge("last_success_timestamp_seconds", "When the last cleanup succeeded.", state["succeeded"])
        for name, text in GAUGES.items():
            yield _gauge(name, text, state[name])
        removed = CounterMetricFamily(f"{PREFIX}removed", "What was removed for good.", labels=["kind"])
        for kind, count in state["removed"].items():
            removed.add_metric([kind], count)
        yield removed
        yield CounterMetricFamily(f"{PREFIX}freed_bytes", "Artifacts that were removed.", value=state["freed_bytes"])


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)
