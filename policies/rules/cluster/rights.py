"""K9: nobody has more rights in the cluster than they need."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import is_kind, kind_of
from policies.resource import Resource
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

ROLES, BINDINGS = ("Role", "ClusterRole"), ("RoleBinding", "ClusterRoleBinding")
TO_MORE_RIGHTS = frozenset({"bind", "escalate", "impersonate"})
ALL_POWERFUL = frozenset({"admin", "cluster-admin", "edit"})
ANYBODY = frozenset({"system:anonymous", "system:authenticated", "system:masters", "system:unauthenticated"})
ALL_SERVICES = "system:serviceaccounts"  # of the cluster, or with a namespace behind it


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    if kind_of(resource) in ROLES:
        for rule in resource.own["rules"]:
            yield from _of_rule(rule, everywhere=kind_of(resource) == "ClusterRole")
        return
    role = resource.own["roleRef"]
    if role["kind"].text == "ClusterRole" and role["name"].text in ALL_POWERFUL:
        yield Violation(role["name"].path, "the cluster's own role may do far more than one job needs")
    for subject in resource.own["subjects"]:
        if subject["name"].text in ANYBODY or subject["name"].text.startswith(ALL_SERVICES):
            yield Violation(subject["name"].path, "more have the role than anybody can name")


def _of_rule(rule: Value, *, everywhere: bool) -> Iterator[Violation]:
    for part in ("apiGroups", "resources", "verbs"):
        for word in rule[part]:
            if "*" in word.text:
                yield Violation(word.path, "it holds what nobody has thought of")
    for verb in rule["verbs"]:
        if verb.text in TO_MORE_RIGHTS:
            yield Violation(verb.path, "who has it can give themselves every other right")
    for kind in rule["resources"]:
        if everywhere and kind.text == "secrets":
            yield Violation(kind.path, "it shows the secrets of every namespace")


RULE = Rule(
    id="K9",
    title="rights in the cluster are few",
    why="One account that was taken over has the whole cluster.",
    severity="high",
    from_tier=2,
    controls={"soc2": ("CC6.3",), "hipaa": ("164.312(a)(1)",), "iso27001": ("5.15", "8.2")},
    fix="name what a role may do; people get rights by `team` alone",
    of=is_kind(*ROLES, *BINDINGS),
    check=_check,
)
