"""The edges of the graph: which services connect to which ports.

A slot's services connect to what the outputs of the slots that its flavor connects to name (``ports()``). Beside that,
the gateway connects to what has a route, monitoring to what has metrics, and the portal to the port that a service's
health is asked at, since services bring all three themselves. Nothing else is an edge.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from terrace.workload import Metrics, Route, Workload

ENTRANCE = "gateway"
OBSERVER = "monitoring"
OVERVIEW = "portal"


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
    """A port that is not public, the service that listens on it, and the services that may connect."""

    port: int
    service: str
    callers: tuple[str, ...]


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


def _callers(nodes: Mapping[str, Node], slot: str, workload: Workload, port: int) -> tuple[str, ...]:
    """Return the services that connect to ``port``: its own, not its slot's others, and those with an edge to it."""
    slots = _calling_slots(nodes, slot, workload, port)
    return tuple(sorted({workload.name} | {w.name for name in slots if name in nodes for w in nodes[name].workloads}))


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
