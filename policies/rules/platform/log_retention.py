"""A13: the audit log is kept long enough."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

SIX_MONTHS = 184  # days: the longest six months of a year


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    days = resource.variable("AUDIT_RETENTION_DAYS")
    if not days.text.isascii() or not days.text.isdigit() or int(days.text[:9]) < SIX_MONTHS:
        yield Violation(days.path, f"records go before they are {SIX_MONTHS} days old")


RULE = Rule(
    id="A13",
    title="the audit log is kept for six months",
    why="The EU AI Act asks providers and deployers of high-risk systems for six months of logs at least.",
    severity="medium",
    from_tier=3,
    controls={"eu_ai_act": ("19", "26(6)"), "iso27001": ("8.15",)},
    fix="set `audit.retention_days` to 184 or more",
    of=service_of("audit"),
    check=_check,
)
