"""K4: a service runs as a user of its own, and as nobody else."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack

BECOMES_ANOTHER = frozenset({"sudo", "su", "doas", "setpriv", "runuser", "pkexec"})


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    name = resource.variables["service_name"]
    if not name.text:
        yield Violation(name.path, "it has no name, and so no user of its own")
    elif stack.users[resource.host, name.text] > 1:
        yield Violation(name.path, "another service on this host has the same name, and so the same user")
    reads_all = resource.variables["service_reads_all"]
    if reads_all.held not in (None, False) and resource.slot != "backup":
        yield Violation(reads_all.path, "it may read every file of the machine, which only a backup needs")
    for word in resource.runs(BECOMES_ANOTHER):
        yield Violation(word.path, "the command becomes another user")


RULE = Rule(
    id="K4",
    title="each service has a user of its own",
    why="Who breaks into one service has what its user has: the others' data and passwords, where they share it.",
    severity="high",
    from_tier=3,
    controls={"soc2": ("CC6.1",), "iso27001": ("8.2", "8.3")},
    fix="give the flavor's Workload a `name` of its own, and leave `reads_all` to the backup",
    of=is_service,
    check=_check,
    whole_stack=True,
)
