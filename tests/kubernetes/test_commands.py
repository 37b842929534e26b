"""The commands on a cluster, as somebody types them: from a look at what would come to a platform that has gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kubernetes.projects import Project
from tests.kubernetes.world import World


@pytest.fixture
def project(tmp_path: Path, world: World, storage: str) -> Project:
    root = tmp_path / "project"
    return Project(root, 1, f"namespace: {world.namespace}, storage_class: {storage}")


def test_a_platform_comes_and_goes_by_commands(project: Project, world: World) -> None:
    looked = project.run("preview", "cluster")
    assert looked.returncode == 0, looked.stderr
    assert "mlflow  kubernetes:apps/v1:Deployment" in looked.stdout
    assert world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}") is None, "a look touches nothing"

    up = project.run("up", "cluster", "--yes")
    assert up.returncode == 0, up.stdout + up.stderr
    services = project.json("status", "cluster")["services"]
    assert {each["name"] for each in services if each["healthy"]} >= {"gateway", "mlflow", "mlserver", "postgres"}
    again = project.json("up", "cluster", "--yes")
    assert {step["op"] for step in again["steps"]} <= {"same"}

    world.edit("Deployment", "mlflow", {"spec": {"replicas": 0}}, "apis/apps/v1")
    assert project.run("refresh", "cluster").returncode == 0
    repaired = project.json("up", "cluster", "--yes")
    assert [step["op"] for step in repaired["steps"] if step["op"] != "same"] == ["update"]

    refused = project.run("destroy", "cluster", "--yes", "--delete-data")
    assert refused.returncode == 2
    assert f"kubectl delete namespace {world.namespace}" in refused.stderr
    gone = project.run("destroy", "cluster", "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert world.object("Deployment", "mlflow", "apis/apps/v1") is None
