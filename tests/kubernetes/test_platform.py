"""A platform on a real API server: admitted, ready, unchanged by a second run, and gone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pulumi
import pytest

from terrace import fleet, platform
from terrace.resolve import Blueprint
from terrace.spec import Role
from terrace.targets.kubernetes.cluster import Cluster
from terrace.targets.kubernetes.pods import NAME
from tests.components.recording import ON_KUBERNETES, blueprint
from tests.kubernetes.world import World, steps

APPS, BATCH = "apis/apps/v1", "apis/batch/v1"
DEPLOYMENTS = ("backup", "dvc", "evidently", "feast", "gateway", "mlflow", "portal", "workbench")
WORKBENCHES = ("wb-data-engineer", "wb-data-scientist", "wb-ml-engineer", "wb-software-engineer")
STATEFUL_SETS = ("airflow", "audit", "mlserver", "postgres", "prometheus", "seaweedfs", *WORKBENCHES)
BUCKETS = ("bucket-backup", "bucket-dvc", "bucket-mlflow")
DATABASES = ("airflow", "feast", "mlflow", "mlflow-accounts", "predictions")
JOBS = (*BUCKETS, *(f"database-{name}" for name in DATABASES))
CRON_JOBS = tuple(
    f"{what}-{part}" for part in ("databases", "airflow", "audit", *WORKBENCHES) for what in ("backup", "restore")
)
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
def wanted(tmp_path: Path, world: World, storage: str) -> Blueprint:
    return _blueprint(tmp_path, world, storage)


def _blueprint(folder: Path, world: World, storage: str, more: str = "", tier: int = ON_KUBERNETES) -> Blueprint:
    lines = f"    kubernetes: {{namespace: {world.namespace}, storage_class: {storage}, user_prefix: 'oidc:'}}\n"
    return blueprint(
        tier,
        folder,
        target="kubernetes",
        edit=lambda text: text.replace(TEAM, PEOPLE) + lines + more,
    )


def test_every_pod_is_admitted_where_restricted_is_enforced(world: World, wanted: Blueprint) -> None:
    made = world.up(lambda: _build(wanted))
    assert set(steps(made).values()) == {"create"}
    labels = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        world.plane.request("POST", f"/api/v1/namespaces/{world.namespace}/pods", LOOSE)
    _require_ready(world)
    assert [event["message"] for event in _refusals(world)] == []

    seen = fleet.examine("local", made.outputs).services
    assert [(each.name, each.detail) for each in seen if not each.healthy] == []
    assert len(seen) == 15


def test_what_is_started_by_hand_is_admitted_and_reads_a_volume_on_the_node_that_has_it(
    world: World, wanted: Blueprint
) -> None:
    assert world.up(lambda: _build(wanted)).ok
    nodes = {name: _run_to_its_end(world, name) for name in CRON_JOBS}
    assert [event["message"] for event in _refusals(world)] == []
    assert nodes["backup-airflow"] == world.object("Pod", "airflow-0")["spec"]["nodeName"]


def _run_to_its_end(world: World, name: str) -> str:
    """Do what `kubectl create job --from` does; return the name of the node that it ran on."""
    template = world.object("CronJob", name, BATCH)["spec"]["jobTemplate"]
    made = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": f"{name}-now"}, "spec": template["spec"]}
    world.plane.request("POST", f"/{BATCH}/namespaces/{world.namespace}/jobs", made)
    _wait(lambda: bool(world.object("Job", f"{name}-now", BATCH)["status"].get("succeeded")))
    pods = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/pods?labelSelector=job-name={name}-now")
    (pod,) = pods["items"]
    return str(pod["spec"]["nodeName"])


def test_a_platforms_life(world: World, wanted: Blueprint, tmp_path: Path, storage: str) -> None:
    assert set(steps(world.up(lambda: _build(wanted))).values()) == {"create"}
    assert steps(world.up(lambda: _build(wanted))) == {}
    assert steps(world.refresh()) == {}

    world.edit("Deployment", "mlflow", {"spec": {"replicas": 0}}, APPS)
    assert steps(world.refresh()) == {"mlflow": "update"}
    assert steps(world.up(lambda: _build(wanted))) == {"mlflow": "update"}
    assert world.object("Deployment", "mlflow", APPS)["spec"]["replicas"] == 1

    more = "    tracking: {workers: 2}\n    database: {connections: 50}\n"
    changed = _blueprint(tmp_path, world, storage, more)
    updated = ("mlflow", "postgres", "postgres-files")
    assert steps(world.up(lambda: _build(changed))) == dict.fromkeys(updated, "update")
    assert world.object("Deployment", "mlflow", APPS)["status"]["updatedReplicas"] == 1

    assert "delete" in steps(world.destroy()).values()
    assert world.object("Deployment", "mlflow", APPS) is None
    left = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/persistentvolumeclaims")["items"]
    assert sorted(each["metadata"]["name"] for each in left) == [f"data-{name}-0" for name in STATEFUL_SETS]

    again = world.up(lambda: _build(wanted))
    assert again.ok, again.errors
    _require_ready(world)


def test_the_tier_goes_up_and_down_again(world: World, wanted: Blueprint, tmp_path: Path, storage: str) -> None:
    lower = _blueprint(tmp_path, world, storage, tier=2)
    assert set(steps(world.up(lambda: _build(lower))).values()) == {"create"}
    raised = steps(world.up(lambda: _build(wanted)))
    assert {name for name, op in raised.items() if op == "delete" and "-" not in name} == {"timer"}
    assert {"airflow", "audit", "portal", "wb-ml-engineer"} <= {name for name, op in raised.items() if op == "create"}
    _require_ready(world)
    assert [event["message"] for event in _refusals(world)] == []

    lowered = steps(world.up(lambda: _build(lower)))
    assert {"airflow", "audit", "portal"} <= {name for name, op in lowered.items() if op == "delete"}
    assert world.object("StatefulSet", "timer", APPS)["status"]["readyReplicas"] == 1
    kept = {f"data-{name}-0" for name in (*STATEFUL_SETS, "timer")}
    left = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/persistentvolumeclaims")["items"]
    assert {each["metadata"]["name"] for each in left} == kept


def test_at_tier_4_an_emptied_node_leaves_a_pod_of_what_people_ask(world: World, tmp_path: Path, storage: str) -> None:
    wanted = _blueprint(tmp_path, world, storage, tier=4)
    assert set(steps(world.up(lambda: _build(wanted))).values()) == {"create"}
    assert steps(world.up(lambda: _build(wanted))) == {}
    _require_ready(world, dict.fromkeys(("dvc", "feast", "gateway", "mlflow", "portal"), 2))
    assert [event["message"] for event in _refusals(world)] == []

    pods = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/pods?labelSelector={NAME}=mlflow")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == 2
    names = [pod["metadata"]["name"] for pod in pods]
    _wait(lambda: world.object("PodDisruptionBudget", "mlflow", "apis/policy/v1")["status"]["disruptionsAllowed"] == 1)
    # Nobody makes a new pod meanwhile, as where no node has room for it.
    world.edit("Deployment", "mlflow", {"spec": {"paused": True}}, APPS)
    _evict(world, names[0])
    with pytest.raises(AssertionError, match="Cannot evict pod as it would violate the pod's disruption budget"):
        _evict(world, names[1])


def _evict(world: World, name: str) -> None:
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    world.plane.request("POST", f"/api/v1/namespaces/{world.namespace}/pods/{name}/eviction", eviction)


def _wait(is_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.2)


def _require_ready(world: World, replicas: Mapping[str, int] | None = None) -> None:
    for name in DEPLOYMENTS:
        wanted = (replicas or {}).get(name, 1)
        assert world.object("Deployment", name, APPS)["status"]["readyReplicas"] == wanted
    for name in STATEFUL_SETS:
        assert world.object("StatefulSet", name, APPS)["status"]["readyReplicas"] == 1
    for name in JOBS:
        assert world.object("Job", name, BATCH)["status"]["succeeded"] == 1


@pytest.mark.parametrize("whose", ["oidc:", ""])
def test_a_role_may_do_what_its_right_says(world: World, tmp_path: Path, whose: str) -> None:
    wanted = _blueprint(tmp_path, world, "none")

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
