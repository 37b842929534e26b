"""K5: each process has a limit of memory."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    processes = resource.variables["service_processes"]
    if not processes.is_there:
        yield Violation(processes.path, "it has no processes")
    for process in processes:
        limit = process["memory_mb"]
        if not (limit.number or 0) > 0:
            yield Violation(limit.path, "the process may take all of the machine's memory")


RULE = Rule(
    id="K5",
    title="memory is limited",
    why="One process that takes all memory ends others, the database among them.",
    severity="medium",
    from_tier=2,
    controls={"soc2": ("A1.1",), "iso27001": ("8.6",)},
    fix="set the option `<slot>.memory_mb`; in a flavor, `memory_mb` of each Process",
    of=is_service,
    check=_check,
)
