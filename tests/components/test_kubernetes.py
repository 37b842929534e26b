"""The plan of a platform on Kubernetes: what the API takes, what pods may do, and who reaches whom."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.components.recording import ROOT, WHOLE_ON_KUBERNETES, Recorded, blueprint, plan

API_VERSION = "1.36"
BACKUPS = ("backup", "backup-databases", "backup-timer", "restore-databases", "restore-timer")
# Who connects to which port of whom; nothing else does, but for the entrance and the cluster's DNS.
EDGES = {
    *((job, "postgres", 15432) for job in BACKUPS),
    *((job, "seaweedfs", 18333) for job in BACKUPS),
    ("bucket-backup", "seaweedfs", 18333),
    ("bucket-dvc", "seaweedfs", 18333),
    ("bucket-mlflow", "seaweedfs", 18333),
    ("database-mlflow", "postgres", 15432),
    ("database-mlflow-accounts", "postgres", 15432),
    ("database-predictions", "postgres", 15432),
    ("dvc", "seaweedfs", 18333),
    ("gateway", "dvc", 15040),
    ("gateway", "mlflow", 15000),
    ("gateway", "mlserver", 18080),
    ("gateway", "prometheus", 19090),
    ("gateway", "prometheus", 19093),
    ("gateway", "timer", 15090),
    ("mlflow", "postgres", 15432),
    ("mlflow", "seaweedfs", 18333),
    ("mlserver", "mlflow", 15000),
    ("mlserver", "postgres", 15432),
    ("prometheus", "backup", 15061),
    ("prometheus", "dvc", 15040),
    ("prometheus", "gateway", 15080),
    ("prometheus", "gateway", 15081),
    ("prometheus", "mlflow", 15001),
    ("prometheus", "mlserver", 18082),
    ("prometheus", "mlserver", 18083),
    ("prometheus", "mlserver", 18084),
    ("prometheus", "postgres", 15433),
    ("prometheus", "seaweedfs", 18334),
    ("prometheus", "timer", 15090),
}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return plan(blueprint(WHOLE_ON_KUBERNETES, tmp_path_factory.mktemp("stack"), target="kubernetes"))


@pytest.fixture(scope="module")
def objects(planned: list[Recorded]) -> list[dict[str, Any]]:
    """Every object of the API; the protocol makes numbers floating."""
    return [_whole(resource.inputs) for resource in planned if resource.type.startswith("kubernetes:")]


def _whole(value: Any) -> Any:
    if isinstance(value, float):
        assert value.is_integer()
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value


def _of(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    found = [each for each in objects if each["kind"] in kinds]
    assert found, kinds
    return found


def _named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def _pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in _of(objects, "Deployment", "StatefulSet", "Job", "CronJob"):
        spec = each["spec"].get("jobTemplate", each)["spec"]
        yield each["metadata"]["name"], spec["template"]


def _containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def test_the_api_knows_every_field(objects: list[dict[str, Any]]) -> None:
    assert len(objects) >= 70
    for each in objects:
        kubernetes_validate.validate(each, API_VERSION, strict=True)


def test_an_unknown_field_would_be_seen(objects: list[dict[str, Any]]) -> None:
    wrong = json.loads(json.dumps(_named(objects, "Deployment", "mlflow")))
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
    for name, template in _pods(objects):
        assert template["metadata"]["labels"]["app.kubernetes.io/name"] == name
        assert template["metadata"]["labels"]["app.kubernetes.io/component"]


def test_every_pod_keeps_the_restricted_standard(objects: list[dict[str, Any]]) -> None:
    """What Pod Security asks at the level `restricted`, also where a tier enforces less."""
    for name, template in _pods(objects):
        spec = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys(), name
        assert spec["securityContext"]["runAsNonRoot"], name
        assert spec["securityContext"]["runAsUser"] > 0, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        kinds = {kind for volume in spec["volumes"] for kind in volume} - {"name"}
        assert kinds <= {"configMap", "emptyDir", "projected", "secret", "persistentVolumeClaim"}, name
        for container in _containers(template):
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_no_pod_has_a_token_or_an_account_that_others_have(objects: list[dict[str, Any]]) -> None:
    accounts = {each["metadata"]["name"]: each for each in _of(objects, "ServiceAccount")}
    used = [(name, template["spec"]) for name, template in _pods(objects)]
    assert sorted(spec["serviceAccountName"] for _, spec in used) == sorted(accounts)
    assert all(spec["automountServiceAccountToken"] is False for _, spec in used)
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())


def test_every_container_says_how_much_it_takes_and_every_service_how_it_is(objects: list[dict[str, Any]]) -> None:
    for name, template in _pods(objects):
        for container in _containers(template):
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys(), name
            assert "memory" in container["resources"]["limits"], name
    for each in _of(objects, "Deployment", "StatefulSet"):
        first = each["spec"]["template"]["spec"]["containers"][0]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= first.keys(), each["metadata"]["name"]


def test_the_quota_has_room_for_every_pod_twice(objects: list[dict[str, Any]]) -> None:
    hard = _named(objects, "ResourceQuota", "platform")["spec"]["hard"]
    pods = [template for _, template in _pods(objects)]
    services = [each["spec"]["template"] for each in _of(objects, "Deployment", "StatefulSet")]
    assert int(hard["pods"]) >= len(pods) + len(services)
    for kind, name in (("limits", "limits.memory"), ("requests", "requests.memory")):
        taken = sum(_mebibytes(pod, kind) for pod in pods) + sum(_mebibytes(pod, kind) for pod in services)
        assert taken <= int(hard[name].removesuffix("Mi")), name
    claims = [claim for each in _of(objects, "StatefulSet") for claim in each["spec"]["volumeClaimTemplates"]]
    assert hard["persistentvolumeclaims"] == str(len(claims))
    sizes = [int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) for claim in claims]
    assert hard["requests.storage"] == f"{sum(sizes)}Gi"


def _mebibytes(template: dict[str, Any], kind: str) -> int:
    return sum(int(each["resources"][kind]["memory"].removesuffix("Mi")) for each in template["spec"]["containers"])


def test_secrets_stand_in_secrets_alone(planned: list[Recorded], objects: list[dict[str, Any]]) -> None:
    made = [f"[{each.name}]" for each in planned if each.type == "terrace:Password"]
    assert len(made) >= 15
    kept = " ".join(
        base64.b64decode(value).decode() for each in _of(objects, "Secret") for value in each["data"].values()
    )
    assert [secret for secret in made if secret not in kept and secret != "[checksum-key]"] == []
    shown = json.dumps([each for each in objects if each["kind"] != "Secret"])
    assert [secret for secret in made if secret in shown] == []
    certificate = _named(objects, "ConfigMap", "authority")["data"]["ca.crt"]
    assert certificate == "[authority]"  # which everybody may know
    assert shown.count("[authority]") == 1


def test_what_a_pod_names_is_there(objects: list[dict[str, Any]]) -> None:
    there = {
        (each["kind"], each["metadata"]["name"]): each.get("data", {}) for each in _of(objects, "ConfigMap", "Secret")
    }
    kinds = {"configMap": "ConfigMap", "secret": "Secret"}
    for name, template in _pods(objects):
        sources = [
            source
            for volume in template["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", [])
        ]
        for source in sources:
            ((kind, part),) = source.items()
            data = there[kinds[kind], part["name"]]
            assert [item["key"] for item in part["items"] if item["key"] not in data] == [], name
        for container in _containers(template):
            for variable in container["env"]:
                if reference := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert reference["key"] in there["Secret", reference["name"]], (name, variable)
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            volumes = {volume["name"] for volume in template["spec"]["volumes"]} | _claimed(objects, name)
            assert mounted <= volumes, name


def _claimed(objects: list[dict[str, Any]], name: str) -> set[str]:
    sets = [each for each in _of(objects, "StatefulSet") if each["metadata"]["name"] == name]
    return {claim["metadata"]["name"] for each in sets for claim in each["spec"]["volumeClaimTemplates"]}


def test_who_reaches_whom_is_what_the_graph_says(objects: list[dict[str, Any]]) -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in _of(objects, "NetworkPolicy")}
    everybody = policies.pop("everybody")
    assert policies.pop("default-deny") == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert _reached(everybody, "egress", "to") == {("gateway", 8443)}
    assert [port["port"] for port in everybody["egress"][0]["ports"]] == [53, 53]
    into, out = set(), set()
    for name, spec in policies.items():
        assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": name}}
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        into |= {(caller, name, port) for caller, port in _reached(spec, "ingress", "from")}
        out |= {(name, service, port) for service, port in _reached(spec, "egress", "to")}
    assert into == EDGES
    assert out == EDGES
    open_to_all = {name for name, spec in policies.items() for rule in spec.get("ingress", []) if "from" not in rule}
    assert open_to_all == {"gateway"}


def _reached(spec: dict[str, Any], direction: str, side: str) -> set[tuple[str, int]]:
    return {
        (peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], port["port"])
        for rule in spec.get(direction, [])
        for peer in rule.get(side, [])
        if "podSelector" in peer
        for port in rule["ports"]
    }


def test_what_installs_packages_reaches_the_index_and_no_private_network(objects: list[dict[str, Any]]) -> None:
    opened = {}
    for each in _of(objects, "NetworkPolicy"):
        for rule in each["spec"].get("egress", []):
            blocks = [peer["ipBlock"] for peer in rule["to"] if "ipBlock" in peer]
            if any(block["cidr"] == "0.0.0.0/0" for block in blocks):
                opened[each["metadata"]["name"]] = (blocks[0]["except"], [port["port"] for port in rule["ports"]])
    private = ["10.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"]
    assert opened == {"mlserver": (private, [443]), "timer": (private, [443])}


def test_the_gateway_has_everybodys_routes_and_monitoring_everybodys_metrics(objects: list[dict[str, Any]]) -> None:
    routes = _file(objects, "gateway", "routes__services.conf")
    for path, target in (
        ("/mlflow/", "http://mlflow:15000/;"),
        ("/serving/", "http://mlserver:18080/;"),
        ("/dvc/", "http://dvc:15040/;"),
        ("/pipelines/", "http://timer:15090/;"),
        ("/prometheus/", "http://prometheus:19090;"),
    ):
        assert f"location {path} {{" in routes
        assert f"proxy_pass {target}" in routes
    needs = _file(objects, "gateway", "routes__services.needs")
    assert 'map "$request_method $uri" $need__serving_' in needs
    assert "127.0.0.1" not in routes + needs
    scraped = json.loads(_file(objects, "prometheus", "scrapes.json"))
    told = {(each["targets"][0], each["labels"]["__metrics_path__"]) for each in scraped}
    wanted = {f"{service}:{port}" for caller, service, port in EDGES if caller == "prometheus"}
    own = {"prometheus:19090", "prometheus:19093"}
    assert {target for target, _ in told} == wanted | own
    assert ("gateway:15080", "/certificates") in told


def _file(objects: list[dict[str, Any]], name: str, key: str) -> str:
    return base64.b64decode(_named(objects, "Secret", name)["data"][key]).decode()


def test_the_store_knows_one_account_for_each_bucket(objects: list[dict[str, Any]]) -> None:
    accounts = json.loads(_file(objects, "seaweedfs", "accounts.json"))["identities"]
    assert [(each["name"], each["actions"]) for each in accounts] == [
        ("admin", ["Admin"]),
        ("backup", ["Read:backup", "Write:backup", "List:backup", "Tagging:backup"]),
        ("dvc", ["Read:dvc", "Write:dvc", "List:dvc", "Tagging:dvc"]),
        ("mlflow", ["Read:mlflow", "Write:mlflow", "List:mlflow", "Tagging:mlflow"]),
    ]


def test_backups_run_at_night_and_what_brings_one_back_by_hand_alone(objects: list[dict[str, Any]]) -> None:
    jobs = {each["metadata"]["name"]: each["spec"] for each in _of(objects, "CronJob")}
    assert {name for name in jobs if name.startswith("restore-")} == {"restore-databases", "restore-timer"}
    for name, spec in jobs.items():
        assert spec["suspend"] is name.startswith("restore-"), name
        assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("Etc/UTC", "Forbid"), name
    assert jobs["backup-databases"]["schedule"] == jobs["backup-timer"]["schedule"] == "30 2 * * *"


def test_a_backup_reads_a_volume_beside_its_owner_and_a_restore_writes_it(objects: list[dict[str, Any]]) -> None:
    pods = {name: template["spec"] for name, template in _pods(objects)}
    for name in ("backup-timer", "restore-timer"):
        (volume,) = [each for each in pods[name]["volumes"] if each["name"] == "data"]
        assert volume["persistentVolumeClaim"] == {"claimName": "data-timer-0"}
        (mount,) = [each for each in pods[name]["containers"][0]["volumeMounts"] if each["name"] == "data"]
        assert mount.get("readOnly", False) is (name == "backup-timer")
        assert ("affinity" in pods[name]) is (name == "backup-timer")
    (beside,) = pods["backup-timer"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert beside["labelSelector"] == {"matchLabels": {"app.kubernetes.io/name": "timer"}}
    assert _named(objects, "ConfigMap", "backup-timer")["data"]["excludes"].split() == ["uv-cache", "bundles/*/.venv"]


def test_what_backs_databases_up_may_read_them_and_what_restores_may_change_them(objects: list[dict[str, Any]]) -> None:
    passwords = {
        "backup-databases": ("backup", "[postgres-backup]"),
        "restore-databases": ("admin", "[postgres-admin]"),
    }
    pods = dict(_pods(objects))
    for name, (account, password) in passwords.items():
        (user,) = [each["value"] for each in _containers(pods[name])[0]["env"] if each["name"] == "PGUSER"]
        assert user == account
        assert _file(objects, name, "PGPASSWORD") == password
        assert [each["image"].split("/")[-1].split(":")[0] for each in _containers(pods[name])] == (
            ["postgres", "restic"] if name.startswith("backup") else ["restic", "postgres"]
        )


def test_programs_that_import_the_sdk_of_kubernetes_are_those_that_need_it(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.components.recording import blueprint, plan;"
        f"plan(blueprint(1, Path({str(tmp_path)!r}))); sys.exit('pulumi_kubernetes' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
