"""What goes wrong is told clearly, before or at its step, and the next `up` goes on from there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi import ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace, PersistentVolumeClaim, ResourceQuota

from tests.kubernetes.cases import LABELS, pods, volumes
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.world import World, messages, steps

Inside = Callable[[ResourceOptions], object]


def _in_namespace(world: World, make: Inside, **labels: str) -> Callable[[], None]:
    def program() -> None:
        space = Namespace("space", metadata={"name": world.namespace, "labels": labels})
        make(ResourceOptions(depends_on=[space], custom_timeouts={"create": "3s", "update": "3s"}))

    return program


def _web(world: World, labels: dict[str, str] | None = None, **container: Any) -> Inside:
    template = pods()
    template["metadata"] = {"labels": {**LABELS, **(labels or {})}}
    template["spec"]["containers"][0].update(container)
    return lambda opts: Deployment(
        "web",
        metadata={"name": "web", "namespace": world.namespace},
        spec={"selector": {"match_labels": LABELS}, "template": template},
        opts=opts,
    )


def test_a_pod_that_fails(world: World) -> None:
    broken = _in_namespace(world, _web(world, {"terrace.test/fails": "crash"}))
    told = messages(world.up(broken))
    assert f"Deployment {world.namespace}/web isn't ready after 3 s" in told
    assert "0 of 1 pods are available" in told
    assert "container app: [CrashLoopBackOff] back-off restarting failed container" in told
    assert "it ended with exit code 7 (Error)" in told
    assert world.resources()["web"].id == f"{world.namespace}/web"

    assert steps(world.preview(_in_namespace(world, _web(world)))) == {"web": "update"}
    assert steps(world.up(_in_namespace(world, _web(world)))) == {"web": "update"}
    assert steps(world.up(_in_namespace(world, _web(world)))) == {}
    assert world.destroy().ok


def test_an_image_that_is_not_there(world: World) -> None:
    broken = _in_namespace(world, _web(world, {"terrace.test/fails": "image"}, image="nowhere/app:9"))
    assert "[ImagePullBackOff] Back-off pulling image nowhere/app:9" in messages(world.up(broken))


def test_a_job_that_fails(world: World) -> None:
    template = {
        "metadata": {"labels": {"terrace.test/fails": "job"}},
        "spec": {**pods()["spec"], "restart_policy": "Never"},
    }

    def make(opts: ResourceOptions) -> object:
        metadata = {"name": "work", "namespace": world.namespace}
        return Job("work", metadata=metadata, spec={"template": template, "backoff_limit": 0}, opts=opts)

    told = messages(world.up(_in_namespace(world, make)))
    assert "it failed: [BackoffLimitExceeded]" in told
    assert "it ended with exit code 3 (Error)" in told


def test_a_claim_without_a_class(world: World) -> None:
    spec = {**volumes("1Gi")[0]["spec"], "storage_class_name": "nowhere"}

    def make(opts: ResourceOptions) -> object:
        metadata = {"name": "data", "namespace": world.namespace}
        return PersistentVolumeClaim("data", metadata=metadata, spec=spec, opts=opts)

    assert "there is no storage class nowhere" in messages(world.up(_in_namespace(world, make)))


def test_a_quota_that_is_exceeded(world: World) -> None:
    def make(opts: ResourceOptions) -> object:
        quota = ResourceQuota(
            "quota",
            metadata={"namespace": world.namespace, "name": "quota"},
            spec={"hard": {"pods": "0", "configmaps": "1"}},
            opts=opts,
        )
        return _web(world)(ResourceOptions.merge(opts, ResourceOptions(depends_on=[quota])))

    told = messages(world.up(_in_namespace(world, make)))
    assert "[FailedCreate]" in told
    assert "exceeded quota: quota, requested: pods=1, used: pods=0, limited: pods=0" in told

    def more(opts: ResourceOptions) -> object:
        make(opts)
        return [ConfigMap(f"c{i}", metadata={"namespace": world.namespace}, data={}, opts=opts) for i in range(2)]

    told = messages(world.up(_in_namespace(world, more), continue_on_error=True))
    assert "the quota leaves no room for ConfigMap" in told


def test_a_pod_that_is_not_secure_enough(world: World) -> None:
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    told = messages(world.up(_in_namespace(world, _web(world), **level)))
    assert 'violates PodSecurity "restricted' in told


def test_an_object_that_is_there_already(world: World) -> None:
    def make(opts: ResourceOptions) -> object:
        metadata = {"name": "taken", "namespace": world.namespace}
        return ConfigMap("taken", metadata=metadata, data={"mine": "yes"}, opts=opts)

    assert world.up(_in_namespace(world, lambda _: None)).ok
    theirs = {"metadata": {"name": "taken"}, "data": {"theirs": "yes"}}
    world.plane.request("POST", f"/api/v1/namespaces/{world.namespace}/configmaps", theirs)
    assert "taken is there already" in messages(world.up(_in_namespace(world, make)))
    assert world.object("ConfigMap", "taken")["data"] == {"theirs": "yes"}

    world.configure({"kubernetes:upsertExistingObjects": "true"})
    assert steps(world.up(_in_namespace(world, make))) == {"taken": "create"}
    assert world.object("ConfigMap", "taken")["data"] == {"theirs": "yes", "mine": "yes"}


def test_a_kind_that_nobody_has_installed(world: World) -> None:
    def program() -> None:
        CustomResource("thing", api_version="nowhere.example.com/v1", kind="Thing", metadata={"name": "thing"})

    assert steps(world.preview(program)) == {"thing": "create"}
    assert "the cluster knows no kind Thing of nowhere.example.com/v1" in messages(world.up(program))


def test_rights_that_are_missing_are_listed_before_anything_is_touched(
    world: World, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = _in_namespace(world, _web(world))
    monkeypatch.setenv("KUBECONFIG", str(plane.issue("nobody", "people")))
    told = messages(world.up(program))
    assert "you may not do what is planned" in told
    assert f"create deployments.apps in {world.namespace}" in told
    assert "create namespaces" in told
    assert world.resources() == {}


@pytest.mark.parametrize(
    ("days", "server", "what"),
    [(-1.0, None, "refuses the credentials"), (1.0, "https://127.0.0.1:1", "can't be reached")],
)
def test_a_cluster_that_cannot_be_used(
    world: World, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, days: float, server: str | None, what: str
) -> None:
    path = plane.issue(f"user-{days:.0f}", "system:masters", days=days)
    if server is not None:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["clusters"][0]["cluster"]["server"] = server
        path.write_text(json.dumps(content), encoding="utf-8")
    monkeypatch.setenv("KUBECONFIG", str(path))
    program = _in_namespace(world, _web(world))
    assert steps(world.preview(program)) == {"space": "create", "web": "create"}
    assert any(what in said.message for said in world.said if said.severity == "warning")
    assert what in messages(world.up(program))
    assert world.resources() == {}


def test_a_cluster_that_goes_away(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Its state stays, can be previewed, and can be forgotten on purpose."""
    program = _in_namespace(
        world, lambda opts: ConfigMap("c", metadata={"namespace": world.namespace}, data={"a": "b"}, opts=opts)
    )
    assert world.up(program).ok
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    assert steps(world.preview(program)) == {}
    assert "there is nothing at" in messages(world.refresh())
    assert "there is nothing at" in messages(world.destroy())
    assert set(world.resources()) == {"space", "c"}
    monkeypatch.setenv("PULUMI_K8S_DELETE_UNREACHABLE", "true")
    assert steps(world.refresh()) == {"space": "delete", "c": "delete"}
    assert world.resources() == {}
