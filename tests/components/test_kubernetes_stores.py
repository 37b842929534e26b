"""The plan of a platform on Kubernetes: what keeps data, and what backs it up."""

from __future__ import annotations

import json
from typing import Any

from tests.components.cluster import containers, file_of, named, of, pods

PARTS = ("airflow", "audit", "databases", "wb-ann")


def test_the_store_knows_one_account_for_each_bucket(objects: list[dict[str, Any]]) -> None:
    accounts = json.loads(file_of(objects, "seaweedfs", "accounts.json"))["identities"]
    assert [(each["name"], each["actions"]) for each in accounts] == [
        ("admin", ["Admin"]),
        ("backup", ["Read:backup", "Write:backup", "List:backup", "Tagging:backup"]),
        ("dvc", ["Read:dvc", "Write:dvc", "List:dvc", "Tagging:dvc"]),
        ("mlflow", ["Read:mlflow", "Write:mlflow", "List:mlflow", "Tagging:mlflow"]),
    ]


def test_backups_run_at_night_and_what_brings_one_back_by_hand_alone(objects: list[dict[str, Any]]) -> None:
    jobs = {each["metadata"]["name"]: each["spec"] for each in of(objects, "CronJob")}
    assert {name for name in jobs if name.startswith("restore-")} == {f"restore-{part}" for part in PARTS}
    for name, spec in jobs.items():
        assert spec["suspend"] is name.startswith("restore-"), name
        assert (spec["timeZone"], spec["concurrencyPolicy"]) == ("Etc/UTC", "Forbid"), name
    assert jobs["backup-databases"]["schedule"] == jobs["backup-airflow"]["schedule"] == "30 2 * * *"


def test_a_backup_reads_a_volume_beside_its_owner_and_a_restore_writes_it(objects: list[dict[str, Any]]) -> None:
    pods_of = {name: template["spec"] for name, template in pods(objects)}
    for name in ("backup-airflow", "restore-airflow"):
        (volume,) = [each for each in pods_of[name]["volumes"] if each["name"] == "data"]
        assert volume["persistentVolumeClaim"] == {"claimName": "data-airflow-0"}
        (mount,) = [each for each in pods_of[name]["containers"][0]["volumeMounts"] if each["name"] == "data"]
        assert mount.get("readOnly", False) is (name == "backup-airflow")
    for name, kind in (("backup-airflow", "podAffinity"), ("restore-airflow", "podAntiAffinity")):
        (node,) = pods_of[name]["affinity"][kind]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert node["labelSelector"] == {"matchLabels": {"app.kubernetes.io/name": "airflow"}}
    assert named(objects, "ConfigMap", "backup-airflow")["data"]["excludes"].split() == ["uv-cache", "bundles/*/.venv"]


def test_what_backs_databases_up_may_read_them_and_what_restores_may_change_them(objects: list[dict[str, Any]]) -> None:
    passwords = {
        "backup-databases": ("backup", "[postgres-backup]"),
        "restore-databases": ("admin", "[postgres-admin]"),
    }
    templates = dict(pods(objects))
    for name, (account, password) in passwords.items():
        (user,) = [each["value"] for each in containers(templates[name])[0]["env"] if each["name"] == "PGUSER"]
        assert user == account
        assert file_of(objects, name, "PGPASSWORD") == password
        assert [each["image"].split("/")[-1].split(":")[0] for each in containers(templates[name])] == (
            ["postgres", "restic"] if name.startswith("backup") else ["restic", "postgres"]
        )
