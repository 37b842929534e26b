"""An S3 store outside of the cluster: who uses it, by which account, and through which policy."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from tests.components.recording import Recorded, blueprint, plan

STORE = """\
    artifact_store:
      {flavor: s3, bucket: models, endpoint: "https://s3.example.com:9000", access_key: ann,
       secret_key: {secure: "v1:YWJj:YWJj"}}
encryptionsalt: "v1:AAAAAAAAAAA=:v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
"""


@pytest.fixture
def planned(tmp_path: Path) -> Iterator[dict[tuple[str, str], dict[str, Any]]]:
    """Every object by its kind and name."""
    spec = {"artifact_store": {"secret_key": "hush-key"}}
    pulumi.runtime.set_all_config({"terrace:platform": json.dumps(spec)}, ["terrace:platform"])
    wanted = blueprint(2, tmp_path, target="kubernetes", edit=lambda text: text + STORE)
    found = plan(wanted)
    yield {_key(each): each.inputs for each in found if each.type.startswith("kubernetes:")}
    pulumi.runtime.set_all_config({}, [])


def _key(resource: Recorded) -> tuple[str, str]:
    return resource.inputs["kind"], resource.inputs["metadata"]["name"]


def _variables(owner: dict[str, Any]) -> dict[str, Any]:
    spec = owner["spec"].get("jobTemplate", owner)["spec"]
    return {each["name"]: each.get("value") for each in spec["template"]["spec"]["containers"][0]["env"]}


def test_mlflow_keeps_artifacts_there_below_a_prefix_of_its_own(planned: dict[tuple[str, str], dict[str, Any]]) -> None:
    variables = _variables(planned["Deployment", "mlflow"])
    assert variables["MLFLOW_ARTIFACTS_DESTINATION"] == "s3://models/mlflow"
    assert variables["MLFLOW_S3_ENDPOINT_URL"] == "https://s3.example.com:9000"
    assert variables["AWS_ACCESS_KEY_ID"] == "ann"
    key = planned["Secret", "mlflow"]["data"]["AWS_SECRET_ACCESS_KEY"]
    assert base64.b64decode(key) == b"hush-key"
    assert "hush-key" not in json.dumps([each for (kind, _), each in planned.items() if kind != "Secret"])
    assert not any(name == "seaweedfs" for _, name in planned)


def test_a_job_tries_it_out_and_makes_nothing(planned: dict[tuple[str, str], dict[str, Any]]) -> None:
    variables = _variables(planned["Job", "bucket-mlflow"])
    assert variables["BUCKET_PREFIX"] == "mlflow/"
    assert "BUCKET_ADMIN" not in variables


def test_who_uses_it_reaches_its_port_and_no_private_network(planned: dict[tuple[str, str], dict[str, Any]]) -> None:
    outside = {
        name: [port["port"] for port in rule["ports"]]
        for (kind, name), each in planned.items()
        if kind == "NetworkPolicy"
        for rule in each["spec"].get("egress", [])
        if any(peer.get("ipBlock", {}).get("cidr") == "0.0.0.0/0" for peer in rule["to"])
    }
    users = ("backup", "backup-databases", "backup-timer", "dvc", "mlflow", "restore-databases", "restore-timer")
    tried = [f"bucket-{name}" for name in ("backup", "dvc", "mlflow")]
    assert outside == {**{name: [9000] for name in (*users, *tried)}, "mlserver": [443], "timer": [443]}


def test_what_others_keep_there_is_below_prefixes_of_their_own(planned: dict[tuple[str, str], dict[str, Any]]) -> None:
    remote = _variables(planned["Deployment", "dvc"])
    assert (remote["BUCKET"], remote["BUCKET_PREFIX"]) == ("models", "dvc/")
    for part in ("databases", "timer"):
        job = _variables(planned["CronJob", f"backup-{part}"])
        assert job["RESTIC_REPOSITORY"] == f"s3:https://s3.example.com:9000/models/backup/{part}"
    watch = _variables(planned["Deployment", "backup"])
    assert (watch["BUCKET_PREFIX"], watch["BACKUP_PARTS"]) == ("backup/", "databases,timer")
