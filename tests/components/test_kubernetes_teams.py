"""The plan of teams' namespaces: who may do what there, how much of it, and what their pods reach."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.components.cluster import named, of, whole, with_teams
from tests.components.recording import Recorded, blueprint, plan

OURS, THEIRS = "platform-local-team-risk", "platform-local-team-ads"


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return plan(blueprint(1, tmp_path_factory.mktemp("stack"), target="kubernetes", edit=with_teams))


def _within(objects: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    return [each for each in objects if each["metadata"].get("namespace") == namespace]


def test_a_team_has_a_namespace_and_the_groups_people_alone_have_rights_in_it(objects: list[dict[str, Any]]) -> None:
    for namespace, person in ((OURS, "ann@example.org"), (THEIRS, "bob")):
        labels = named(objects, "Namespace", namespace)["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/warn"] == "restricted"
        (binding,) = of(_within(objects, namespace), "RoleBinding")
        assert [each["name"] for each in binding["subjects"]] == [person]
        (role,) = of(_within(objects, namespace), "Role")
        changed = {
            resource
            for rule in role["rules"]
            if {"create", "update", "delete"} & set(rule["verbs"])
            for resource in rule["resources"]
        }
        assert not changed & {"networkpolicies", "resourcequotas", "limitranges", "roles", "rolebindings"}
        assert named(_within(objects, namespace), "ServiceAccount", "default")["automountServiceAccountToken"] is False


def test_what_the_spec_says_is_the_quota(objects: list[dict[str, Any]]) -> None:
    ours, theirs = (named(_within(objects, each), "ResourceQuota", "team")["spec"]["hard"] for each in (OURS, THEIRS))
    assert (ours["requests.cpu"], ours["requests.example.org/tpu"]) == ("4", "0")
    assert (theirs["requests.cpu"], theirs["requests.example.org/tpu"]) == ("16", "2")
    assert {ours[f"services.{each}"] for each in ("loadbalancers", "nodeports")} == {"0"}


def test_its_pods_reach_each_other_the_entrance_names_and_the_index(objects: list[dict[str, Any]]) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of(_within(objects, OURS), "NetworkPolicy")}
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (opened,) = policies.values()
    assert opened["ingress"] == [{"from": [{"podSelector": {}}]}], "of its own namespace"
    own, names, entrance, index = opened["egress"]
    assert own == {"to": [{"podSelector": {}}]}
    assert {port["port"] for port in names["ports"]} == {53}
    (gateway,) = entrance["to"]
    assert gateway["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "platform-local"}}
    assert gateway["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "gateway"}}
    assert [port["port"] for port in entrance["ports"]] == [8443]
    assert "10.0.0.0/8" in index["to"][0]["ipBlock"]["except"]


def test_it_knows_the_way_to_the_platform_and_no_password(objects: list[dict[str, Any]]) -> None:
    found = named(_within(objects, OURS), "ConfigMap", "platform")["data"]
    gateway = "https://gateway.platform-local.svc:8443"
    assert found == {"TERRACE_GATEWAY_URL": gateway, "ca.crt": "[authority-certificate]"}
    assert not [each for each in _within(objects, OURS) if each["kind"] == "Secret"]


def test_a_group_without_people_gives_nobody_rights(tmp_path: Path) -> None:
    def edit(text: str) -> str:
        return with_teams(text).replace("members: [ann]", "members: []")

    found = plan(blueprint(1, tmp_path, target="kubernetes", edit=edit))
    objects = [whole(each.inputs) for each in found if each.type.startswith("kubernetes:")]
    assert "RoleBinding" not in {each["kind"] for each in _within(objects, OURS)}
