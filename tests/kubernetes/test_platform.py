"""A platform of tier 1 on a real API server: admitted, ready, unchanged by a second run, and gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pulumi
import pytest

from terrace import fleet, platform
from terrace.resolve import Blueprint
from terrace.spec import Role
from terrace.targets.kubernetes import namespace as namespaces
from terrace.targets.kubernetes.cluster import Cluster
from tests.components.recording import blueprint
from tests.kubernetes.cli import by_cli, needed
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.world import World, steps

APPS, BATCH = "apis/apps/v1", "apis/batch/v1"
DEPLOYMENTS = ("gateway", "mlflow")
STATEFUL_SETS = ("mlserver", "postgres", "prometheus", "seaweedfs", "timer")
JOBS = ("bucket-mlflow", "database-mlflow", "database-mlflow-accounts", "database-predictions")
STORAGE_CLASS = "of-the-tests"
TEAM = "    team:\n"
SEVEN_ROLES = get_args(Role)[:7]
PEOPLE = f"""\
    team:
      people: {{{", ".join(f"{role.replace('_', '-')}: {{roles: [{role}]}}" for role in SEVEN_ROLES)}}}
"""
LOOSE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "loose"},
    "spec": {"containers": [{"name": "a", "image": "a"}]},
}
MORE = "    tracking: {workers: 2}\n    database: {connections: 50}\n"
UPDATED = ("mlflow", "postgres", "postgres-files", "quota")
# What somebody asks of the API (verb, resource, subresource) → who may.
READERS = {
    "solution_architect",
    "data_scientist",
    "data_engineer",
    "software_engineer",
    "devops_engineer",
    "ml_engineer",
}
ASKED = {
    ("list", "pods", ""): READERS,
    ("get", "pods", "log"): READERS - {"solution_architect", "data_scientist"},
    ("delete", "pods", ""): {"devops_engineer"},
    ("create", "pods", "portforward"): {"devops_engineer"},
    ("create", "pods", ""): set(),
    ("create", "pods", "exec"): set(),
    ("get", "secrets", ""): set(),
    ("get", "configmaps", ""): set(),
}


@pytest.fixture
def storage(plane: ControlPlane, world: World) -> Iterator[str]:
    """A storage class with a volume for each service that has one."""
    name = f"{STORAGE_CLASS}-{world.namespace}"
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    plane.request(
        "POST", "/apis/storage.k8s.io/v1/storageclasses", made | {"provisioner": "kubernetes.io/no-provisioner"}
    )
    for number in range(len(STATEFUL_SETS)):
        spec = {
            "capacity": {"storage": "200Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "hostPath": {"path": f"/volumes/{number}"},
        }
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": f"{name}-{number}"},
            "spec": spec,
        }
        plane.request("POST", "/api/v1/persistentvolumes", volume)
    yield name
    for number in range(len(STATEFUL_SETS)):
        plane.request("DELETE", f"/api/v1/persistentvolumes/{name}-{number}")
    plane.request("DELETE", f"/apis/storage.k8s.io/v1/storageclasses/{name}")


@pytest.fixture
def wanted(tmp_path: Path, world: World, storage: str) -> Blueprint:
    return blueprint_in(tmp_path, world.namespace, storage)


def blueprint_in(folder: Path, namespace: str, storage: str, more: str = "") -> Blueprint:
    """The platform's blueprint, in a namespace; ``more`` is added to its spec."""
    lines = f"    kubernetes: {{namespace: {namespace}, storage_class: {storage}, user_prefix: 'oidc:'}}\n"
    return blueprint(1, folder, target="kubernetes", edit=lambda text: text.replace(TEAM, PEOPLE) + lines + more)


def test_every_pod_is_admitted_where_restricted_is_enforced(
    world: World, wanted: Blueprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "ENFORCED_FROM_TIER", 1)
    made = world.up(lambda: _build(wanted))
    assert set(steps(made).values()) == {"create"}
    labels = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        world.plane.request("POST", f"/api/v1/namespaces/{world.namespace}/pods", LOOSE)
    _require_ready(world)
    assert [event["message"] for event in _refusals(world)] == []
    used, hard = (world.object("ResourceQuota", "platform")["status"][part] for part in ("used", "hard"))
    assert used["persistentvolumeclaims"] == hard["persistentvolumeclaims"] == "5"

    seen = fleet.examine("local", made.outputs).services
    assert [(each.name, each.detail) for each in seen if not each.healthy] == []
    assert len(seen) == 8


def test_a_platforms_life(world: World, wanted: Blueprint, tmp_path: Path, storage: str) -> None:
    assert set(steps(world.up(lambda: _build(wanted))).values()) == {"create"}
    assert steps(world.up(lambda: _build(wanted))) == {}
    assert steps(world.refresh()) == {}

    world.edit("Deployment", "mlflow", {"spec": {"replicas": 0}}, APPS)
    assert steps(world.refresh()) == {"mlflow": "update"}
    assert steps(world.up(lambda: _build(wanted))) == {"mlflow": "update"}
    assert world.object("Deployment", "mlflow", APPS)["spec"]["replicas"] == 1

    changed = blueprint_in(tmp_path, world.namespace, storage, MORE)
    assert steps(world.up(lambda: _build(changed))) == dict.fromkeys(UPDATED, "update")
    assert world.object("Deployment", "mlflow", APPS)["status"]["updatedReplicas"] == 1

    assert "delete" in steps(world.destroy()).values()
    assert world.object("Deployment", "mlflow", APPS) is None
    left = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/persistentvolumeclaims")["items"]
    assert sorted(each["metadata"]["name"] for each in left) == [f"data-{name}-0" for name in STATEFUL_SETS]

    again = world.up(lambda: _build(wanted))
    assert again.ok, again.errors
    _require_ready(world)


@needed
def test_the_cli_goes_on_where_the_embedded_engine_stopped_and_back(world: World, tmp_path: Path, storage: str) -> None:
    wanted, changed = (_text(tmp_path, world, storage, more) for more in ("", MORE))

    def is_settled(text: str, blueprint: Blueprint) -> None:
        assert by_cli(world, text, "refresh", "--yes", "--skip-preview") == {}
        assert by_cli(world, text, "preview") == {}
        assert steps(world.refresh()) == {}
        assert world.preview(lambda: _build(blueprint)).summary.keys() == {"same"}

    first = blueprint_in(tmp_path, world.namespace, storage)
    assert set(steps(world.up(lambda: _build(first))).values()) == {"create"}
    is_settled(wanted, first)
    assert by_cli(world, changed, "up", "--yes", "--skip-preview") == dict.fromkeys(UPDATED, "update")
    is_settled(changed, blueprint_in(tmp_path, world.namespace, storage, MORE))
    by_cli(world, changed, "destroy", "--yes", "--skip-preview")
    assert set(by_cli(world, wanted, "up", "--yes", "--skip-preview").values()) == {"create"}
    is_settled(wanted, first)
    _require_ready(world)
    assert world.destroy().ok


def _text(folder: Path, world: World, storage: str, more: str) -> str:
    """The text of the platform's program."""
    return f"""\
from pathlib import Path
from terrace import platform
from tests.kubernetes.test_platform import blueprint_in
platform.build(blueprint_in(Path({str(folder)!r}), {world.namespace!r}, {storage!r}, {more!r}))
"""


def _require_ready(world: World) -> None:
    for name in DEPLOYMENTS:
        assert world.object("Deployment", name, APPS)["status"]["readyReplicas"] == 1
    for name in STATEFUL_SETS:
        assert world.object("StatefulSet", name, APPS)["status"]["readyReplicas"] == 1
    for name in JOBS:
        assert world.object("Job", name, BATCH)["status"]["succeeded"] == 1


@pytest.mark.parametrize("whose", ["oidc:", ""])
def test_a_role_may_do_what_its_right_says(world: World, tmp_path: Path, whose: str) -> None:
    wanted = blueprint_in(tmp_path, world.namespace, "none")

    def program() -> None:
        Cluster(wanted, pulumi.ComponentResource("terrace:platform:Platform", "platform")).close({})

    assert world.up(program).ok
    for asked, allowed in ASKED.items():
        may = {role for role in SEVEN_ROLES if _may(world, f"{whose}{role.replace('_', '-')}", asked)}
        assert may == (allowed if whose else set()), asked


def _may(world: World, user: str, asked: tuple[str, str, str]) -> bool:
    verb, resource, subresource = asked
    what = {"namespace": world.namespace, "verb": verb, "resource": resource, "subresource": subresource}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "resourceAttributes": what},
    }
    answer = world.plane.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])


def _build(wanted: Blueprint) -> None:
    platform.build(wanted)


def _refusals(world: World) -> list[dict[str, Any]]:
    events = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/events")["items"]
    return [event for event in events if event["reason"] == "FailedCreate"]
