"""What the gateway has more where there is an audit log: a program that tells it of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi

from components.gateway import AUDIT_TOKEN
from components.programs import program_files
from terrace.rights import RightsTable
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import File, Process


@dataclass(frozen=True)
class Collector:
    """The parts of the gateway's workload that are its."""

    processes: tuple[Process, ...] = ()
    files: tuple[File, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


def in_cluster(target: KubernetesTarget, routes: str) -> Collector:
    """Return the collector of a pod, where the gateway shows a token; so does nginx with what people ask of the log."""
    if target.audit_port is None:
        return Collector()
    found = of(target.audit_port, routes)
    shown = target.audit_token("gateway")
    header = shown.apply(lambda text: f'proxy_set_header Authorization "Bearer {text}";\n')
    return Collector(
        found.processes,
        (*found.files, File(AUDIT_TOKEN, header)),
        {**found.environment, "AUDIT_HOST": target.host_of("audit")},
        {"AUDIT_TOKEN": shown},
    )


def of(port: int | None, routes: str) -> Collector:
    """Return the collector.

    Args:
        port: The audit log's port; None where there is no audit log, and so nothing to collect.
        routes: The folder of files that say what requests mean.
    """
    if port is None:
        return Collector()
    return Collector(
        processes=(Process("audit", ("$(PYTHON)", "-m", "audit_collector"), memory_mb=128),),
        files=program_files("gateway", "audit_collector"),
        environment={
            "PYTHONPATH": "$(CONFIG)",
            "AUDIT_PORT": str(port),
            "AUDIT_ROUTES": routes,
            "AUDIT_REQUESTS": "$(DATA)/requests.jsonl",
            "AUDIT_ACCOUNTS": ",".join(RightsTable.load().reserved),
            "ACCOUNTS_FILE": "$(CONFIG)/accounts",
        },
    )
