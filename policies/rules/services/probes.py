"""K6: what listens on a port says whether it is healthy, and how it is."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import KEPT_RUNNING, containers, kind_of
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack

MEASURED_FROM = 3
ASLEEP = "workbench"  # asked for its health, somebody's server would wake


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if kind_of(resource) in KEPT_RUNNING:
        yield from _of_pod(resource)
        return
    ports = [port.number for port in resource.variables["service_ports"]]
    probe = resource.variables["service_probe"]
    if not ports:
        return
    if not probe.is_there:
        yield Violation(probe.path, "nobody can see whether it is healthy")
    elif probe["port"].number not in ports:
        yield Violation(probe["port"].path, "it is asked for its health at a port that it doesn't listen on")
    elif not probe["path"].text.startswith("/"):
        yield Violation(probe["path"].path, "it is asked for its health at no path")
    if not stack.measures(resource):
        yield Violation("variables.service_metrics", "nothing of it is measured", MEASURED_FROM)


def _of_pod(resource: Resource) -> Iterator[Violation]:
    found = list(containers(resource))
    if resource.slot == ASLEEP or not any(container["ports"].is_there for container in found):
        return
    for probe, problem in (
        ("readinessProbe", "requests come to it before it can answer"),
        ("livenessProbe", "it isn't started anew when it has got stuck"),
    ):
        if not any(container[probe].is_there for container in found):
            yield Violation(f"containers.{probe}", problem)


RULE = Rule(
    id="K6",
    title="services say whether they are healthy",
    why="A service that started and does not work is found by its users.",
    severity="medium",
    from_tier=2,
    controls={"iso27001": ("8.16",), "soc2": ("CC7.2",)},
    fix="give the flavor's Workload a `probe` and `metrics`",
    of=lambda resource: is_service(resource) or kind_of(resource) in KEPT_RUNNING,
    check=_check,
    whole_stack=True,
    stricter={MEASURED_FROM: "it is measured, too"},
)
