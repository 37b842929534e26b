"""The page of Prometheus metrics, taken from the records whenever it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..contract.records import ENDED
from .service import Service


class PipelineCollector(Collector):
    """Metrics of all pipelines.

    Counts outlive restarts; what is said of the last run is said of the last one that ended.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield each metric."""
        yield from self._counts()
        yield from self._last_runs()
        yield from self._now()

    def _counts(self) -> Iterator[Metric]:
        runs = CounterMetricFamily("terrace_pipeline_run", "Runs that ended.", labels=["pipeline", "state"])
        attempts = CounterMetricFamily(
            "terrace_pipeline_step_attempts", "Attempts of steps.", labels=["pipeline", "step"]
        )
        for record in self._service.store.pipelines.values():
            for state in sorted(ENDED):
                runs.add_metric([record.name, state], record.run_counts.get(state, 0))
            for step, count in record.attempt_counts.items():
                attempts.add_metric([record.name, step], count)
        yield from (runs, attempts)

    def _last_runs(self) -> Iterator[Metric]:
        succeeded = _gauge("last_run_succeeded", "1 when the last run succeeded, 0 when it failed or was lost.")
        scheduled = _gauge("last_scheduled_run_succeeded", "1 when the last run that a schedule began succeeded.")
        states = _gauge("last_run_state", "1 for the state in which the last run ended.", "state")
        seconds = _gauge("run_seconds", "How long the last run took.")
        steps = _gauge("step_seconds", "How long each step of the last run took, all attempts.", "step")
        for name in self._service.store.pipelines:
            run = self._service.store.last_ended(name)
            if run is None:
                continue
            if run.state != "cancelled":
                succeeded.add_metric([name], run.state == "succeeded")
            by_schedule = self._service.store.last_ended(name, "schedule")
            if by_schedule and by_schedule.state != "cancelled":
                scheduled.add_metric([name], by_schedule.state == "succeeded")
            for state in sorted(ENDED):
                states.add_metric([name, state], run.state == state)
            seconds.add_metric([name], run.seconds or 0)
            for step in run.steps:
                if step.seconds is not None:
                    steps.add_metric([name, step.name], step.seconds)
        yield from (succeeded, scheduled, states, seconds, steps)

    def _now(self) -> Iterator[Metric]:
        success = _gauge("last_success_timestamp_seconds", "When a run last succeeded.")
        running = _gauge("running", "1 while a run is going on.")
        following = _gauge("next_run_timestamp_seconds", "When it runs next by itself.")
        for record in self._service.store.pipelines.values():
            if record.last_success:
                success.add_metric([record.name], record.last_success.timestamp())
            running.add_metric([record.name], self._service.running(record.name))
            next_run = self._service.status(record.name).next_run
            if next_run:
                following.add_metric([record.name], next_run.timestamp())
        yield from (success, running, following)


def metrics_page(service: Service) -> bytes:
    """Return the page, in Prometheus' text format."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(PipelineCollector(service))
    return generate_latest(registry)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"terrace_pipeline_{name}", text, labels=["pipeline", *labels])
