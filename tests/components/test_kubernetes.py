"""The plan of a platform on Kubernetes: what the API takes, and what pods may do."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.components.cluster import containers, named, of, pods
from tests.components.recording import ROOT, Recorded

API_VERSION = "1.36"


def test_the_api_knows_every_field(objects: list[dict[str, Any]]) -> None:
    assert len(objects) >= 70
    for each in objects:
        kubernetes_validate.validate(each, API_VERSION, strict=True)


def test_an_unknown_field_would_be_seen(objects: list[dict[str, Any]]) -> None:
    wrong = json.loads(json.dumps(named(objects, "Deployment", "mlflow")))
    wrong["spec"]["template"]["spec"]["containers"][0]["comand"] = ["x"]
    with pytest.raises(kubernetes_validate.ValidationError, match="comand"):
        kubernetes_validate.validate(wrong, API_VERSION, strict=True)


def test_everything_lies_in_the_platforms_own_namespace_and_is_labelled(objects: list[dict[str, Any]]) -> None:
    for each in objects:
        labels = each["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "terrace"
        assert labels["app.kubernetes.io/instance"] == "local"
        if each["kind"] != "Namespace":
            assert each["metadata"]["namespace"] == "platform-local"
    for name, template in pods(objects):
        assert template["metadata"]["labels"]["app.kubernetes.io/name"] == name
        assert template["metadata"]["labels"]["app.kubernetes.io/component"]


def test_every_pod_keeps_the_restricted_standard(objects: list[dict[str, Any]]) -> None:
    """What Pod Security asks at the level `restricted`, also where a tier enforces less."""
    for name, template in pods(objects):
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        kinds = {kind for volume in spec["volumes"] for kind in volume} - {"name"}
        assert kinds <= {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}, name
        for container in containers(template):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_no_pod_has_a_token_or_an_account_that_others_have(objects: list[dict[str, Any]]) -> None:
    accounts = {each["metadata"]["name"]: each for each in of(objects, "ServiceAccount")}
    used = [(name, template["spec"]) for name, template in pods(objects)]
    assert sorted(spec["serviceAccountName"] for _, spec in used) == sorted(accounts)
    assert all(spec["automountServiceAccountToken"] is False for _, spec in used)
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())


def test_every_container_says_how_much_it_takes_and_every_service_how_it_is(objects: list[dict[str, Any]]) -> None:
    for name, template in pods(objects):
        for container in containers(template):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
    for each in of(objects, "Deployment", "StatefulSet"):
        first = each["spec"]["template"]["spec"]["containers"][0]
        if each["metadata"]["name"].startswith("wb-"):  # a look would wake it
            continue
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= first.keys(), each["metadata"]["name"]


def test_the_quota_counts_nothing_that_stays_while_something_else_comes(objects: list[dict[str, Any]]) -> None:
    hard = named(objects, "ResourceQuota", "platform")["spec"]["hard"]
    assert hard == {"services.loadbalancers": "0", "services.nodeports": "0"}


def test_secrets_stand_in_secrets_alone(planned: list[Recorded], objects: list[dict[str, Any]]) -> None:
    made = [f"[{each.name}]" for each in planned if each.type == "terrace:Password"]
    assert len(made) >= 15
    kept = " ".join(
        base64.b64decode(value).decode() for each in of(objects, "Secret") for value in each["data"].values()
    )
    hashed = {"[airflow-fernet-key]", "[airflow-token-key]", "[checksum-key]", "[person-ann]"}
    assert {secret for secret in made if secret not in kept} == hashed
    shown = json.dumps([each for each in objects if each["kind"] != "Secret"])
    assert [secret for secret in made if secret in shown] == []
    certificate = named(objects, "ConfigMap", "authority")["data"]["ca.crt"]
    assert certificate == "[authority-certificate]"
    assert shown.count("[authority") == 1


def test_what_a_pod_names_is_there(objects: list[dict[str, Any]]) -> None:
    there = {
        (each["kind"], each["metadata"]["name"]): each.get("data", {}) for each in of(objects, "ConfigMap", "Secret")
    }
    kinds = {"configMap": "ConfigMap", "secret": "Secret"}
    for name, template in pods(objects):
        sources = [
            source
            for volume in template["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
        ]
        for source in sources:
            ((kind, part),) = source.items()
            data = there[kinds[kind], part["name"]]
            assert [item["key"] for item in part["items"] if item["key"] not in data] == [], name
        for container in containers(template):
            for variable in container["env"]:
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert reference["key"] in there["Secret", reference["name"]], (name, variable)
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            volumes = {volume["name"] for volume in template["spec"]["volumes"]} | _claimed(objects, name)
            assert mounted <= volumes, name


def _claimed(objects: list[dict[str, Any]], name: str) -> set[str]:
    sets = [each for each in of(objects, "StatefulSet") if each["metadata"]["name"] == name]
    return {claim["metadata"]["name"] for each in sets for claim in each["spec"]["volumeClaimTemplates"]}


def test_programs_that_import_the_sdk_of_kubernetes_are_those_that_need_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.components.recording import blueprint, plan;"
        f"plan(blueprint(1, Path({str(tmp_path)!r}))); sys.exit('pulumi_kubernetes' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
