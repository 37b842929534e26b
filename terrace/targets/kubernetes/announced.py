"""What the gateway and monitoring are told of the services: the same texts as on a host, from the same templates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from components.templates import render_of_role
from terrace.targets.variables import edges
from terrace.workload import Workload

ROUTE_KINDS = {"conf": "routes.conf", "needs": "routes.needs"}


def route_text(kind: str, workloads: Sequence[Workload]) -> str:
    """Return nginx's file of all routes of one kind: locations, or what requests need."""
    template = ROUTE_KINDS[kind]
    texts = (render_of_role("service", template, service_host=each.name, **edges(each)) for each in _sorted(workloads))
    return "".join(texts)


def scrape_text(environment: str, workloads: Sequence[Workload]) -> str:
    """Return Prometheus' list of targets, as JSON."""
    found: list[dict[str, Any]] = []
    for each in _sorted(workloads):
        text = render_of_role(
            "service",
            "targets.json",
            service_host=each.name,
            service_name=each.name,
            terrace_environment=environment,
            service_metrics=edges(each)["service_metrics"],
        )
        found += json.loads(text)
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def _sorted(workloads: Sequence[Workload]) -> list[Workload]:
    return sorted(workloads, key=lambda workload: workload.name)
