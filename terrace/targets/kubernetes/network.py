"""Network policies: nothing reaches anything, but for the edges of the graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from terrace.edges import Listener
from terrace.targets.kubernetes.pods import NAME
from terrace.workload import Workload

NAMESPACE = "kubernetes.io/metadata.name"  # the label that the API server gives each of them
DNS = 53
NODE_LOCAL_DNS = "169.254.20.10/32"  # where Kubernetes' own cache of DNS answers on every node
ANYWHERE = "0.0.0.0/0"
# What is never a package index: networks of clusters and clouds, the clouds' metadata among them.
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16")
CLOSED: Mapping[str, Any] = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}  # the policy of no edge at all
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Calls:
    """What runs once, the ports that it connects to (service → port), and addresses outside of the platform."""

    name: str
    to: Mapping[str, int]
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outside:
    """How what is outside of the platform is reached: policies know no names, so they open networks.

    Args:
        networks: Those that the spec names; all but private ones where it names none.
        indexes: Addresses of the package index and the proxy; None where one is kept secret.
    """

    networks: tuple[str, ...]
    indexes: tuple[str | None, ...]

    def rule(self, addresses: Iterable[str | None]) -> dict[str, Any]:
        """Return the egress rule to ``addresses``: their ports, and any port where one is kept secret."""
        named: list[dict[str, Any]] = [{"cidr": network} for network in self.networks]
        blocks = named or [{"cidr": ANYWHERE, "except": list(PRIVATE)}]
        rule: dict[str, Any] = {"to": [{"ipBlock": block} for block in blocks]}
        known = set(addresses)
        if None in known:
            return rule
        ports = sorted({_port(address) for address in known if address})
        return {**rule, "ports": [port for number in ports for port in _tcp(number)]}


def policies(
    workloads: Sequence[Workload], listeners: Iterable[Listener], calls: Sequence[Calls], outside: Outside
) -> dict[str, dict[str, Any]]:
    """Return the ``spec`` of every policy by its name.

    Args:
        workloads: Everything that is kept running.
        listeners: Its ports that are not public, with who connects to them.
        calls: What runs once.
        outside: How what is outside of the platform is reached.
    """
    edges = {
        (caller, each.service, each.port) for each in listeners for caller in each.callers if caller != each.service
    }
    edges |= {(call.name, service, port) for call in calls for service, port in call.to.items()}
    public = [(workload.name, port.number) for workload in workloads for port in workload.ports if port.public]
    everybody = {"podSelector": {}, "policyTypes": ["Egress"], "egress": rules_of_everybody(public)}
    found = {"default-deny": dict(CLOSED), "everybody": everybody}
    leaving: dict[str, tuple[str | None, ...]] = {call.name: call.outside for call in calls}
    leaving |= {each.name: (*each.outside, *(outside.indexes if each.downloads else ())) for each in workloads}
    for name in sorted({*(workload.name for workload in workloads), *(call.name for call in calls)}):
        ingress = [
            *({"ports": _tcp(port)} for service, port in public if service == name),
            *_rules("from", ((caller, port) for caller, service, port in edges if service == name)),
        ]
        egress = _rules("to", ((service, port) for caller, service, port in edges if caller == name))
        if leaving[name]:
            egress.append(outside.rule(leaving[name]))
        found[name] = _policy(name, ingress, egress)
    return found


def rules_of_everybody(public: Iterable[tuple[str, int]], namespace: str | None = None) -> list[dict[str, Any]]:
    """Return the egress rules of what every pod may: ask for names, and come to the entrance as people do.

    Args:
        public: The entrance's services and ports.
        namespace: Where they are, if not in the pods' own namespace.
    """
    dns = {
        "to": [
            {"namespaceSelector": {"matchLabels": {NAMESPACE: "kube-system"}}},
            {"ipBlock": {"cidr": NODE_LOCAL_DNS}},
        ],
        "ports": [{"protocol": protocol, "port": DNS} for protocol in ("UDP", "TCP")],
    }
    rules = _rules("to", public)
    if namespace:
        there = {"namespaceSelector": {"matchLabels": {NAMESPACE: namespace}}}
        rules = [{**rule, "to": [there | peer for peer in rule["to"]]} for rule in rules]
    return [dns, *rules]


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
