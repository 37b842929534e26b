"""What the gateway has more where there is an audit log: a program that tells it of requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from components.programs import program_files
from terrace.rights import RightsTable
from terrace.workload import File, Process


@dataclass(frozen=True)
class Collector:
    """The parts of the gateway's workload that are its."""

    processes: tuple[Process, ...] = ()
    files: tuple[File, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def of(port: int | None, routes: str, host: str | None = None) -> Collector:
    """Return the collector.

    Args:
        port: The audit log's port; None where there is no audit log, and so nothing to collect.
        routes: The folder of files that say what requests mean.
        host: Where the audit log is; None for loopback.
    """
    if port is None:
        return Collector()
    return Collector(
        processes=(Process("audit", ("$(PYTHON)", "-m", "audit_collector"), memory_mb=128),),
        files=program_files("gateway", "audit_collector"),
        environment={
            "PYTHONPATH": "$(CONFIG)",
            **({"AUDIT_HOST": host} if host else {}),
            "AUDIT_PORT": str(port),
            "AUDIT_ROUTES": routes,
            "AUDIT_REQUESTS": "$(DATA)/requests.jsonl",
            "AUDIT_ACCOUNTS": ",".join(RightsTable.load().reserved),
            "ACCOUNTS_FILE": "$(CONFIG)/accounts",
        },
    )
