"""Network policies: nothing reaches anything, but for the edges of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from terrace.edges import Listener
from terrace.targets.kubernetes.pods import NAME
from terrace.workload import Workload

DNS = 53
NODE_LOCAL_DNS = "169.254.20.10/32"  # where Kubernetes' own cache of DNS answers on every node
ANYWHERE = "0.0.0.0/0"
# What is never a package index: networks of clusters and clouds, the clouds' metadata among them.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Calls:
    """What runs once, and the ports that it connects to: service → port."""

    name: str
    to: Mapping[str, int]


def policies(
    workloads: Sequence[Workload], listeners: Iterable[Listener], calls: Sequence[Calls], downloads: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the ``spec`` of every policy by its name.

    Args:
        workloads: Everything that is kept running.
        listeners: Its ports that are not public, with who connects to them.
        calls: What runs once.
        downloads: The rule by which what installs packages comes to the index; see `download_rule`.
    """
    edges = {
        (caller, each.service, each.port) for each in listeners for caller in each.callers if caller != each.service
    }
    edges |= {(call.name, service, port) for call in calls for service, port in call.to.items()}
    public = [(workload.name, port.number) for workload in workloads for port in workload.ports if port.public]
    found = {"default-deny": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}, "everybody": _everybody(public)}
    loading = {workload.name for workload in workloads if workload.downloads}
    for name in sorted({*(workload.name for workload in workloads), *(call.name for call in calls)}):
        ingress = [
            *({"ports": _tcp(port)} for service, port in public if service == name),
            *_rules("from", ((caller, port) for caller, service, port in edges if service == name)),
        ]
        egress = _rules("to", ((service, port) for caller, service, port in edges if caller == name))
        found[name] = _policy(name, ingress, [*egress, *([downloads] if name in loading else [])])
    return found


def download_rule(networks: Sequence[str], addresses: Sequence[str | None]) -> dict[str, Any]:
    """Return the egress rule of what installs packages: policies know no names, so it opens networks.

    Args:
        networks: Those that the spec names; all but private ones where it names none.
        addresses: Of the package index and the proxy; None where one is kept secret.
    """
    named: list[dict[str, Any]] = [{"cidr": network} for network in networks]
    blocks = named or [{"cidr": ANYWHERE, "except": list(PRIVATE)}]
    rule: dict[str, Any] = {"to": [{"ipBlock": block} for block in blocks]}
    if None in addresses:
        return rule
    ports = {_port(address) for address in addresses if address} | {PORTS["https"]}
    return {**rule, "ports": [port for number in sorted(ports) for port in _tcp(number)]}


def _everybody(public: Iterable[tuple[str, int]]) -> dict[str, Any]:
    """Return what every pod may: ask for names, and come to the entrance as people do."""
    dns = {
        "to": [
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
            {"ipBlock": {"cidr": NODE_LOCAL_DNS}},
        ],
        "ports": [{"protocol": protocol, "port": DNS} for protocol in ("UDP", "TCP")],
    }
    return {"podSelector": {}, "policyTypes": ["Egress"], "egress": [dns, *_rules("to", public)]}


def _policy(name: str, ingress: list[dict[str, Any]], egress: list[dict[str, Any]]) -> dict[str, Any]:
    rules = {"ingress": ingress, "egress": egress}
    return {
        "podSelector": {"matchLabels": {NAME: name}},
        "policyTypes": ["Ingress", "Egress"],
        **{kind: rule for kind, rule in rules.items() if rule},
    }


def _rules(side: str, ends: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """Return a rule for each port, with all services that it's open to or lies at."""
    by_port: dict[int, list[str]] = {}
    for service, port in sorted(ends):
        by_port.setdefault(port, []).append(service)
    return [
        {side: [{"podSelector": {"matchLabels": {NAME: service}}} for service in services], "ports": _tcp(port)}
        for port, services in sorted(by_port.items())
    ]


def _tcp(port: int) -> list[dict[str, Any]]:
    return [{"protocol": "TCP", "port": port}]


def _port(address: str) -> int:
    parts = urlsplit(address)
    return parts.port or PORTS[parts.scheme]
