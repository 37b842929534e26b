"""`terrace doctor` on a real API server: what a cluster lacks, by the rights of whoever asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.projects import Project
from tests.kubernetes.world import World

DNS = "/api/v1/namespaces/kube-system/services"


@pytest.fixture
def names(plane: ControlPlane) -> Iterator[None]:
    """The cluster has a DNS."""
    spec = {"ports": [{"port": 53, "protocol": "UDP"}]}
    plane.request("POST", DNS, {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dns"}, "spec": spec})
    yield
    plane.request("DELETE", f"{DNS}/dns")


def _checks(project: Project) -> tuple[int, dict[str, Any]]:
    done = project.run("doctor", "cluster", "--json")
    assert done.stdout, done.stderr
    return done.returncode, {each["name"]: each for each in json.loads(done.stdout)["checks"]}


@pytest.mark.usefixtures("names")
def test_a_cluster_that_has_everything_is_fit(world: World, storage: str, tmp_path: Path) -> None:
    project = Project(tmp_path / "project", 3, f"namespace: {world.namespace}, storage_class: {storage}")
    code, found = _checks(project)
    assert {name: each["found"] for name, each in found.items() if not each["ok"]} == {}
    assert code == 0
    assert found["nodes"]["found"] == "3 of them"
    assert world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}") is None, "nothing was made"


def test_what_a_cluster_lacks_is_said(world: World, tmp_path: Path) -> None:
    spec = "pools: {gpu: {labels: {pool: gpu}}}, placed: {serving: {accelerators: 1}, database: {pool: gpu}}"
    project = Project(
        tmp_path / "project", 3, f"namespace: {world.namespace}, storage_class: none, pull_secret: mine, {spec}"
    )
    code, found = _checks(project)
    assert code == 1
    assert {name for name, each in found.items() if not each["ok"]} == {
        "accelerators",
        "names",
        "pools",
        "pull secret",
        "storage",
    }
    assert found["accelerators"]["found"] == "serving: 1 of 0 nvidia.com/gpu on one node"
    assert all(each["fix"] for each in found.values() if not each["ok"])


def test_who_may_do_nothing_is_told_what_is_needed(
    world: World, plane: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(plane.issue("nobody", "people")))
    code, found = _checks(Project(tmp_path / "project", 1, f"namespace: {world.namespace}"))
    assert code == 1
    assert f"create deployments.apps in {world.namespace}" in found["rights"]["found"]
    assert not found["nodes"]["ok"]
    assert not found["nodes"]["necessary"], "it isn't known to be missing"
