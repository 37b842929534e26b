"""What the gateway and monitoring are told of the services: the same texts as on a host, from the same templates."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from components.templates import render_of_role
from terrace.targets.variables import edges
from terrace.workload import Workload


def _nginx_text(template: str, workloads: Sequence[Workload]) -> str:
    """Return nginx's file of all routes, of one kind."""
    texts = (render_of_role("service", template, service_host=each.name, **edges(each)) for each in _sorted(workloads))
    return "".join(texts)


def _acts_text(workloads: Sequence[Workload]) -> str:
    """Return what requests to all routes mean to the audit log, as JSON."""
    acts = [route["acts"] for each in _sorted(workloads) for route in edges(each)["service_routes"]]
    return json.dumps(acts, indent=1, sort_keys=True) + "\n"


# What the gateway is told of routes, by the endings of files: locations, what requests need, and what they mean.
ROUTE_TEXTS: Mapping[str, Callable[[Sequence[Workload]], str]] = {
    "conf": partial(_nginx_text, "routes.conf"),
    "needs": partial(_nginx_text, "routes.needs"),
    "acts": _acts_text,
}


def scrape_text(environment: str, workloads: Sequence[Workload]) -> str:
    """Return Prometheus' list of targets, services of one pod, as JSON."""
    found: list[dict[str, Any]] = []
    for each in (each for each in _sorted(workloads) if each.replicas == 1):
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


def each_pods_name(service: str) -> str:
    """Return the name of the Service by which DNS knows each pod of ``service``, not one of them."""
    return f"{service}-pods"


def scrape_jobs_text(environment: str, namespace: str, workloads: Sequence[Workload]) -> str:
    """Return Prometheus' jobs for services of several pods, as YAML: it asks each pod, and DNS for where they are."""
    jobs = [
        {
            "job_name": f"{each.name}-{metrics.port}{metrics.path.replace('/', '-')}",
            "metrics_path": metrics.path,
            "dns_sd_configs": [
                {
                    "names": [f"{each_pods_name(each.name)}.{namespace}.svc"],
                    "type": "A",
                    "port": each.port(metrics.port),
                    "refresh_interval": "15s",
                }
            ],
            "relabel_configs": [
                {"target_label": label, "replacement": value}
                for label, value in (("job", "services"), ("service", each.name), ("environment", environment))
            ],
        }
        for each in _sorted(workloads)
        if each.replicas > 1
        for metrics in each.metrics
    ]
    return json.dumps({"scrape_configs": jobs}, indent=1) + "\n"


def _sorted(workloads: Sequence[Workload]) -> list[Workload]:
    return sorted(workloads, key=lambda workload: workload.name)
