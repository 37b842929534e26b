"""K7: a namespace has a quota, and limits for what names none."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import is_kind, kind_of, name_of, namespace_of
from policies.resource import Resource
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

WANTED = {"ResourceQuota": ("hard", "nothing limits what is in it"), "LimitRange": ("limits", "pods may name no limit")}


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    within = [each for each in stack.having(is_kind(*WANTED)) if namespace_of(each) == name_of(resource)]
    for kind, (part, problem) in WANTED.items():
        if not any(_holds(each.own["spec"][part], kind) for each in within if kind_of(each) == kind):
            yield Violation("metadata.name", problem)


def _holds(value: Value, kind: str) -> bool:
    return value.is_there if kind == "ResourceQuota" else any(each["type"].text == "Container" for each in value)


RULE = Rule(
    id="K7",
    title="namespaces have quotas and limits",
    why="One team's jobs, or one that has gone wrong, leave nothing of the cluster for the others.",
    severity="medium",
    from_tier=2,
    controls={"iso27001": ("8.6",), "soc2": ("A1.1",)},
    fix="`kubernetes.teams` makes both with each namespace; the platform's own has them",
    of=is_kind("Namespace"),
    check=_check,
    whole_stack=True,
)
