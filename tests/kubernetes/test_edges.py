"""What seldom happens: names that can't be, objects that vanish or won't go, jobs that are made again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi import CustomResource as Anything
from pulumi import ResourceOptions
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapPatch, Namespace, Pod, Service

from tests.kubernetes.cases import pod_set, pods
from tests.kubernetes.world import World, messages, steps

Inside = Callable[[ResourceOptions], object]


def _in_namespace(world: World, make: Inside) -> Callable[[], None]:
    def program() -> None:
        space = Namespace("space", metadata={"name": world.namespace})
        make(ResourceOptions(depends_on=[space], custom_timeouts={"create": "3s", "update": "3s", "delete": "2s"}))

    return program


def _inside(world: World, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": world.namespace, **more}


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ConfigMap("a", metadata={"generate_name": "a-"}), "metadata.generateName: server-side apply needs a"),
        (lambda: ConfigMapPatch("a", data={"b": "c"}), "metadata.name: a patch has to name the object"),
        (
            lambda: Anything("kubernetes:core/v1:ConfigMapList", "a", {"apiVersion": "v1", "kind": "ConfigMapList"}),
            "lists are for manifests",
        ),
    ],
)
def test_what_cannot_be_is_refused(world: World, make: Callable[[], object], why: str) -> None:
    assert why in messages(world.up(lambda: make() and None))
    assert world.resources() == {}


def test_an_object_that_somebody_deleted(world: World) -> None:
    def settings(text: str) -> Callable[[], None]:
        return _in_namespace(
            world, lambda opts: Deployment("c", metadata=_inside(world, "c"), spec=pod_set(text), opts=opts)
        )

    assert world.up(settings("a:1")).ok
    world.plane.request("DELETE", world.path("Deployment", "c", "apis/apps/v1"))
    told = messages(world.up(settings("a:2")))
    assert f"Deployment {world.namespace}/c isn't there" in told
    assert steps(world.refresh()) == {"c": "delete"}
    assert steps(world.up(settings("a:2"))) == {"c": "create"}


def test_an_object_that_will_not_go(world: World) -> None:
    make = _in_namespace(
        world, lambda opts: ConfigMap("c", metadata=_inside(world, "c", finalizers=["test/keep"]), data={}, opts=opts)
    )
    assert world.up(make).ok
    told = messages(world.up(_in_namespace(world, lambda _: None)))
    assert f"ConfigMap {world.namespace}/c isn't gone after 2 s" in told
    assert "these finalizers keep it: test/keep" in told
    assert "c" in world.resources()
    world.edit("ConfigMap", "c", {"metadata": {"finalizers": None}})
    assert steps(world.up(_in_namespace(world, lambda _: None))) == {"c": "delete"}


def test_a_job_that_is_made_again_until_it_succeeds(world: World) -> None:
    def job(fails: str) -> Callable[[], None]:
        labels = {"terrace.test/fails": fails} if fails else {}
        template = {"metadata": {"labels": labels}, "spec": {**pods()["spec"], "restart_policy": "Never"}}
        metadata = _inside(world, "work", annotations={"pulumi.com/replaceUnready": "true"})
        spec = {"template": template, "backoff_limit": 0}
        return _in_namespace(world, lambda opts: Job("work", metadata=metadata, spec=spec, opts=opts))

    assert "it failed" in messages(world.up(job("job")))
    assert "delete-replaced" in [step.op for step in world.preview(job("job")).steps]
    made = world.up(job(""))
    assert made.ok, made.errors
    assert steps(world.up(job(""))) == {}


def test_a_service_without_a_load_balancer(world: World) -> None:
    spec = {"type": "LoadBalancer", "ports": [{"port": 80}]}
    make = _in_namespace(world, lambda opts: Service("s", metadata=_inside(world, "s"), spec=spec, opts=opts))
    assert "is there anything in the cluster that gives one?" in messages(world.up(make))


def test_waiting_can_be_left_out(world: World) -> None:
    metadata = _inside(world, "p", labels={"terrace.test/fails": "never"}, annotations={"pulumi.com/skipAwait": "true"})
    make = _in_namespace(world, lambda opts: Pod("p", metadata=metadata, spec=pods()["spec"], opts=opts))
    assert steps(world.up(make))["p"] == "create"
    assert steps(world.refresh()) == {}
    assert [said.message for said in world.said if said.severity == "warning"] == []


def test_a_refresh_finds_what_is_not_ready(world: World) -> None:
    make = _in_namespace(world, lambda opts: Pod("p", metadata=_inside(world, "p"), spec=pods()["spec"], opts=opts))
    assert world.up(make).ok
    condition = {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "it has fallen over"}
    path = f"{world.path('Pod', 'p')}/status"
    world.plane.request("PATCH", path, {"status": {"conditions": [condition]}}, content="application/merge-patch+json")
    world.refresh()
    assert any("it has fallen over" in said.message for said in world.said if said.severity == "warning")
    assert steps(world.preview(make)) == {"p": "update"}


def test_another_field_manager(world: World) -> None:
    def settings(manager: str, **data: str) -> Callable[[], None]:
        metadata = _inside(world, "c", annotations={"pulumi.com/patchFieldManager": manager})
        return _in_namespace(world, lambda opts: ConfigMap("c", metadata=metadata, data=data, opts=opts))

    world.configure({"kubernetes:enableConfigMapMutable": "true", "kubernetes:enablePatchForce": "true"})
    assert world.up(settings("one", a="1", b="2")).ok
    assert steps(world.up(settings("two", a="1", b="2"))) == {"c": "update"}
    assert [entry["manager"] for entry in world.object("ConfigMap", "c")["metadata"]["managedFields"]] == ["two"]
    assert steps(world.up(settings("two", a="1"))) == {"c": "update"}
    assert world.object("ConfigMap", "c")["data"] == {"a": "1"}
