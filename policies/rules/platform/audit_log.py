"""A8: who did what goes to the audit log."""

from __future__ import annotations

from collections.abc import Iterator

from policies.nginx import directives
from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

WAYS = {"gateway": "AUDIT_PORT", "serving": "MODEL_SYNC_AUDIT"}  # variables that lead to the log


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    way = resource.variable(WAYS[resource.slot])
    if not way.is_there:
        yield Violation(way.path, "it tells no audit log what is done")
    elif resource.variables["service_name"].text not in stack.told("audit", "AUDIT_SOURCES"):
        yield Violation(way.path, "the audit log doesn't take what it tells")
    content = resource.file("nginx.conf")
    if resource.slot == "gateway" and not any(
        words[1:] == ("audit",) for words in directives(content.text, "access_log")
    ):
        yield Violation(content.path, "requests are not noted for the audit log")


RULE = Rule(
    id="A8",
    title="who did what is on record",
    why="After an incident nobody can tell who deployed a model or read the data.",
    severity="high",
    from_tier=3,
    controls={
        "soc2": ("CC7.2",),
        "hipaa": ("164.312(b)",),
        "iso27001": ("8.15",),
        "eu_ai_act": ("12",),
    },
    fix="add the slot: `audit: {}`",
    of=service_of(*WAYS),
    check=_check,
    whole_stack=True,
)
