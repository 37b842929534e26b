"""K5: each process has a limit of memory; in a cluster, it says what it needs, too."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import containers, is_workload
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    if is_workload(resource):
        yield from _of_pod(resource)
        return
    processes = resource.variables["service_processes"]
    if not processes.is_there:
        yield Violation(processes.path, "it has no processes")
    for process in processes:
        limit = process["memory_mb"]
        if not (limit.number or 0) > 0:
            yield Violation(limit.path, "the process may take all of the machine's memory")


def _of_pod(resource: Resource) -> Iterator[Violation]:
    for container in containers(resource):
        limit, requests = container["resources"]["limits"]["memory"], container["resources"]["requests"]
        if not limit.is_there:
            yield Violation(limit.path, "the container may take all of the node's memory")
        for part in ("cpu", "memory"):
            if not requests[part].is_there:
                yield Violation(requests[part].path, "the scheduler can't tell which node has room for it")


RULE = Rule(
    id="K5",
    title="memory is limited",
    why="One process that takes all memory ends others, the database among them.",
    severity="medium",
    from_tier=2,
    controls={"soc2": ("A1.1",), "iso27001": ("8.6",)},
    fix="set the option `<slot>.memory_mb`; in a flavor, `memory_mb` of each Process",
    of=lambda resource: is_service(resource) or is_workload(resource),
    check=_check,
)
