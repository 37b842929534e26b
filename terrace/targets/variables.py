"""A workload as the variables of the role ``service``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pulumi

from components.programs import lock_text, lock_version
from terrace.targets.places import Fill
from terrace.workload import Act, Artifact, Need, Probe, Workload


def software(artifact: Artifact) -> dict[str, Any]:
    """Return what a service's software is, and how it goes from one version to another."""
    lock, package = artifact.lock, artifact.package
    return {
        "service_python_lock": lock_text(lock) if lock else "",
        "service_version": lock_version(lock, package) if lock and package else "",
        "service_one_way": artifact.one_way,
        "service_packages": list(artifact.packages),
    }


def files(workload: Workload, fill: Fill, *, live: bool) -> list[dict[str, pulumi.Input[str]]]:
    """Return the workload's files, those that are live or the others."""
    return [{"path": file.path, "content": fill(file.content)} for file in workload.files if file.live is live]


def setup(workload: Workload, fill: Fill, *, live: bool) -> list[dict[str, Any]]:
    """Return the workload's setup steps, those that are live or the others."""
    steps = [step for step in workload.setup if step.live is live]
    return [{"name": step.name, "command": [fill(word) for word in step.command]} for step in steps]


def gateway_needs(path: str, needs: Sequence[Need]) -> list[dict[str, str]]:
    """Return what requests need below the gateway's ``path``: patterns of «method path», each with its right."""
    return [
        {
            "request": f"^({'|'.join(need.methods) or '[A-Z]+'}) {re.escape(path)}{re.escape(need.path)}"
            + ("$" if need.path else ""),
            "right": need.right,
        }
        for need in needs
    ]


def gateway_acts(path: str, slot: str, acts: Sequence[Act], *, reads: bool) -> dict[str, Any]:
    """Return what the gateway's collector of audit events is told of the requests below its ``path``."""
    return {"path": path, "slot": slot, "reads": reads, "acts": [asdict(act) for act in acts]}


def edges(workload: Workload) -> dict[str, Any]:
    """Return how others reach the workload: ports, probe, routes, metrics."""
    return {
        "service_ports": [port.number for port in workload.ports],
        "service_probe": _probe(workload, workload.probe) if workload.probe else {},
        "service_routes": [
            {
                "path": route.path,
                "port": workload.port(route.port),
                "auth": route.auth,
                "slot": route.slot,
                "needs": gateway_needs(route.path, route.needs) if route.auth == "gateway" else [],
                "keep_path": route.keep_path,
                "body_mb": route.body_mb,
                "hidden": list(route.hidden),
                "servers": dict(route.servers),
                "shows": route.shows,
                "names_account": route.names_account,
                "acts": gateway_acts(route.path, route.slot, route.acts, reads=route.reads),
            }
            for route in workload.routes
        ],
        "service_metrics": [
            {"port": workload.port(metrics.port), "path": metrics.path} for metrics in workload.metrics
        ],
    }


def _probe(workload: Workload, probe: Probe) -> dict[str, Any]:
    return {
        "port": workload.port(probe.port),
        "path": probe.path,
        "status": probe.status,
        "timeout_seconds": probe.timeout_seconds,
    }
