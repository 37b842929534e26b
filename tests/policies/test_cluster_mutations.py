"""One property of a real plan for a cluster is broken: exactly one rule fires, on exactly that object."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import pytest

from policies.catalog import rules
from policies.resource import Resource
from policies.values import UNKNOWN
from tests.policies.test_mutations import IN_A_CLUSTER
from tests.policies.world import asked, in_a_cluster, without, wrong

Change = Callable[[dict[str, Any]], object]
MLFLOW, GATEWAY, NAMESPACE = "tracking/mlflow", "gateway/gateway", "platform/namespace"
UNPINNED = {("K1", "platform/platform")}  # digests come with `terrace images lock`, which asks the registries
FORMS = {"K4", "K5", "K6", "K8", "K10", "K12", "A11"}  # of rules that are about hosts, too


class Mutation(NamedTuple):
    """What is broken of the object ``path``, and the rule that must see it."""

    rule: str
    path: str
    change: Change


def container(**changes: Any) -> Change:
    """Return what changes an object's first container; None takes a part out."""

    def change(properties: dict[str, Any]) -> None:
        first = properties["spec"]["template"]["spec"]["containers"][0]
        for name, value in changes.items():
            if value is None:
                first.pop(name)
            else:
                first[name] = {**first[name], **value} if isinstance(value, dict) else value

    return change


def pod(**changes: Any) -> Change:
    """Return what changes an object's pods."""
    return lambda properties: properties["spec"]["template"]["spec"].update(changes)


def spec(**changes: Any) -> Change:
    """Return what changes an object's specification."""
    return lambda properties: properties["spec"].update(changes)


def text(name: str, old: str, new: str) -> Change:
    """Return what changes a text in a ConfigMap."""

    def change(properties: dict[str, Any]) -> None:
        assert old in properties["data"][name]
        properties["data"][name] = properties["data"][name].replace(old, new)

    return change


MUTATIONS = (
    Mutation("A11", "tracking/mlflow-service", spec(type="LoadBalancer")),
    Mutation("K1", MLFLOW, container(image="registry.example/mlflow")),
    Mutation("K3", MLFLOW, pod(hostNetwork=True)),
    Mutation("K3", "monitoring/prometheus", container(securityContext={"privileged": True})),
    Mutation("K4", MLFLOW, container(securityContext={"allowPrivilegeEscalation": True})),
    Mutation("K4", MLFLOW, container(securityContext={"readOnlyRootFilesystem": False})),
    Mutation("K4", "serving/mlserver", pod(securityContext={"seccompProfile": {"type": "RuntimeDefault"}})),
    Mutation("K4", NAMESPACE, lambda properties: properties["metadata"]["labels"].clear()),
    Mutation("K5", MLFLOW, container(resources={"limits": {}})),
    Mutation("K6", GATEWAY, container(readinessProbe=None)),
    Mutation("K8", "platform/mlflow-edges", spec(ingress=[{}])),
    Mutation("K9", "platform/data-engineer-role", lambda properties: properties["rules"][0].update(verbs=["*"])),
    Mutation("K10", MLFLOW, container(args=["--password", "[mlflow-admin]"])),
    Mutation("K10", "portal/portal-files", text("portal.py", "import", "# [predictions-key]\nimport")),
    Mutation("K11", MLFLOW, spec(replicas=1)),
    Mutation("K12", "gateway/gateway-files", text("nginx.conf", "TLSv1.2 TLSv1.3", "TLSv1 TLSv1.2")),
)
REMOVED = (
    ("K7", NAMESPACE, "platform/quota"),
    ("K8", NAMESPACE, "platform/default-deny-edges"),
    ("K11", MLFLOW, "tracking/mlflow-budget"),
    ("M1", "platform/platform", "data_versioning/dvc"),
)


def broken(resources: Sequence[Resource], path: str, change: Change) -> list[Resource]:
    assert path in [resource.path for resource in resources]
    return [_changed(each, change) if each.path == path and "kubernetes:" in each.type else each for each in resources]


def _changed(resource: Resource, change: Change) -> Resource:
    properties = copy.deepcopy(dict(resource.properties))
    change(properties)
    return Resource(resource.urn, resource.type, properties)


@pytest.mark.parametrize("tier", range(1, 6))
def test_each_tier_keeps_its_own_rules_without_a_waiver(tier: int) -> None:
    resources, told = in_a_cluster(tier)
    findings = asked(resources, told)
    assert [(each.rule.id, each.resource.path, each.problem) for each in findings if each.stops or each.is_open] == []
    assert {each.rule.id for each in findings} >= IN_A_CLUSTER | FORMS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.rule}-{each.path}")
def test_a_broken_property_is_seen_by_one_rule_at_one_object(mutation: Mutation) -> None:
    resources, told = in_a_cluster(5)
    assert wrong(asked(resources, told)) == UNPINNED
    findings = asked(broken(resources, mutation.path, mutation.change), told)
    assert wrong(findings) == {(mutation.rule, mutation.path), *UNPINNED}
    assert {each.status for each in findings} == {"passes", "violates"}


@pytest.mark.parametrize(("rule", "path", "gone"), REMOVED)
def test_a_missing_object_is_seen_by_one_rule(rule: str, path: str, gone: str) -> None:
    resources, told = in_a_cluster(5)
    assert wrong(asked(without(resources, gone), told)) == {(rule, path), *UNPINNED}


def test_each_form_in_a_cluster_is_tried() -> None:
    assert {each.rule for each in MUTATIONS} | {rule for rule, *_ in REMOVED} == IN_A_CLUSTER | FORMS | {"M1"}


@pytest.mark.parametrize("name", sorted(IN_A_CLUSTER | FORMS))
def test_an_unknown_object_never_passes(name: str) -> None:
    resources, told = in_a_cluster(5)
    (rule,) = [rule for rule in rules() if rule.id == name]
    for resource in (each for each in resources if "kubernetes:" in each.type and rule.of(each)):
        unknown = Resource(resource.urn, resource.type, dict.fromkeys(resource.properties, UNKNOWN))
        found = [each for each in asked([unknown], told) if each.rule.id == name]
        assert found
        assert {each.status for each in found} <= {"undetermined", "violates"}, resource.path
