"""The edges of the graph: which services connect to which ports.

A slot's services connect to what the outputs of the slots that its flavor connects to name (``ports()``). Beside that,
the gateway connects to what has a route, monitoring to what has metrics, and the portal to the port that a service's
health is asked at, since services bring all three themselves. Nothing else is an edge.

Where an edge leads to another host, the links of both carry it: on the one, a port of its own takes the callers'
connections, and on the other, the link is the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from terrace.workload import Metrics, Route, Workload

ENTRANCE = "gateway"
OBSERVER = "monitoring"
OVERVIEW = "portal"
LINK = "link"  # the service that carries edges between hosts
HOST_BACKUP = "host-backup"  # the one that backs up what lies on a host beside that of the slot `backup`
ON_EACH_HOST = (LINK, HOST_BACKUP)  # services that hosts have by the same name, each its own


@dataclass(frozen=True)
class Node:
    """A slot as edges see it.

    Args:
        needs: The slots whose outputs' ports its services connect to.
        entries: The ports that its outputs name.
        workloads: The services that it runs.
        probed: The ports at which their health is asked.
    """

    needs: tuple[str, ...]
    entries: tuple[int, ...]
    workloads: tuple[Workload, ...]
    probed: tuple[int, ...] = ()


@dataclass(frozen=True)
class Listener:
    """A port that is not public.

    Args:
        port: Its number.
        service: The service that listens on it.
        callers: The services that may connect.
        hosts: Names of the other hosts that may connect, whose links do.
    """

    port: int
    service: str
    callers: tuple[str, ...]
    hosts: tuple[str, ...] = ()


def listeners(nodes: Mapping[str, Node]) -> tuple[Listener, ...]:
    """Return every port of the slots in ``nodes`` that is not public, in the order of their numbers."""
    found = [
        Listener(port.number, workload.name, _callers(nodes, slot, workload, port.number))
        for slot, node in nodes.items()
        for workload in node.workloads
        for port in workload.ports
        if not port.public
    ]
    return tuple(sorted(found, key=lambda listener: listener.port))


def name_among_all(service: str, host: str) -> str:
    """Return what a service that several hosts have is called among all services."""
    return f"{service}-{host}"


def on_host(found: Iterable[Listener], host: str, homes: Mapping[str, str]) -> tuple[Listener, ...]:
    """Return what is guarded on one of several hosts: its services' ports, and others', which its link listens on.

    Args:
        found: Every port of the platform.
        host: The host.
        homes: Service → its host.
    """
    return tuple(_on_host(each, host, homes) for each in found)


def _on_host(each: Listener, host: str, homes: Mapping[str, str]) -> Listener:
    callers = {_local_name(name, host) for name in each.callers if homes[name] == host}
    if homes[each.service] != host:
        return Listener(each.port, LINK, tuple(sorted({*callers, LINK})))
    others = tuple(sorted({homes[name] for name in each.callers} - {host}))
    callers |= {LINK} if others else set()
    return Listener(each.port, _local_name(each.service, host), tuple(sorted(callers)), others)


def _local_name(service: str, host: str) -> str:
    return next((name for name in ON_EACH_HOST if service == name_among_all(name, host)), service)


def _callers(nodes: Mapping[str, Node], slot: str, workload: Workload, port: int) -> tuple[str, ...]:
    """Return the services that connect to ``port``: its own, not its slot's others, and those with an edge to it."""
    slots = _calling_slots(nodes, slot, workload, port)
    own = {workload.name, *([workload.reached_by] if workload.reached_by else [])}
    return tuple(sorted(own | {w.name for name in slots if name in nodes for w in nodes[name].workloads}))


def _calling_slots(nodes: Mapping[str, Node], slot: str, workload: Workload, port: int) -> Iterable[str]:
    if port in _numbers(workload, workload.routes):
        yield ENTRANCE
    if port in _numbers(workload, workload.metrics):
        yield OBSERVER
    if port in nodes[slot].probed:
        yield OVERVIEW
    for name, node in nodes.items():
        if any(port in nodes[needed].entries for needed in node.needs if needed in nodes):
            yield name


def _numbers(workload: Workload, parts: Sequence[Route | Metrics]) -> set[int]:
    return {workload.port(part.port) for part in parts}
