"""What is special to some objects: patches, imports, fields that are left to others, data that nobody may read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from pulumi import ResourceOptions
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapPatch, Namespace, Secret, Service

from terrace.engine.kubernetes.writing import Writer
from tests.kubernetes.cases import pod_set
from tests.kubernetes.world import World, messages, steps


def _in_namespace(world: World, make: Callable[[ResourceOptions], object]) -> Callable[[], None]:
    def program() -> None:
        make(ResourceOptions(depends_on=[Namespace("space", metadata={"name": world.namespace})]))

    return program


def _inside(world: World, name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": world.namespace, **more}


def test_a_patch_changes_what_others_manage(world: World) -> None:
    assert world.up(_in_namespace(world, lambda _: None)).ok
    path = f"/api/v1/namespaces/{world.namespace}/configmaps"
    world.plane.request("POST", path, {"metadata": {"name": "theirs"}, "data": {"kept": "yes"}})

    def patched(data: dict[str, str]) -> Callable[[], None]:
        return _in_namespace(
            world, lambda opts: ConfigMapPatch("patch", metadata=_inside(world, "theirs"), data=data, opts=opts)
        )

    assert steps(world.up(patched({"mine": "1"}))) == {"patch": "create"}
    assert world.object("ConfigMap", "theirs")["data"] == {"kept": "yes", "mine": "1"}
    assert steps(world.up(patched({"mine": "1"}))) == {}
    assert steps(world.up(patched({"mine": "2"}))) == {"patch": "update"}
    assert steps(world.refresh()) == {}
    assert "data.kept: conflict with" in messages(world.up(patched({"kept": "no"})))
    assert steps(world.up(_in_namespace(world, lambda _: None))) == {"patch": "delete"}
    assert world.object("ConfigMap", "theirs")["data"] == {"kept": "yes"}
    assert world.destroy().ok


def test_an_import_takes_over_what_is_there(world: World) -> None:
    assert world.up(_in_namespace(world, lambda _: None)).ok
    path = f"/api/v1/namespaces/{world.namespace}/configmaps?fieldManager=kubectl"
    world.plane.request("POST", path, {"metadata": {"name": "old"}, "data": {"a": "1"}})

    def imported(data: dict[str, str]) -> Callable[[], None]:
        def make(opts: ResourceOptions) -> object:
            opts = ResourceOptions.merge(opts, ResourceOptions(import_=f"{world.namespace}/old"))
            return ConfigMap("old", metadata=_inside(world, "old"), data=data, immutable=None, opts=opts)

        return _in_namespace(world, make)

    world.configure({"kubernetes:enableConfigMapMutable": "true"})
    assert steps(world.up(imported({"a": "1"}))) == {"old": "import"}
    assert steps(world.up(imported({"a": "1"}))) == {}
    assert steps(world.up(imported({"b": "2"}))) == {"old": "update"}
    assert world.object("ConfigMap", "old")["data"] == {"b": "2"}


def test_fields_that_are_left_to_others(world: World) -> None:
    def web(image: str) -> Callable[[], None]:
        def make(opts: ResourceOptions) -> object:
            opts = ResourceOptions.merge(opts, ResourceOptions(ignore_changes=["spec.replicas"]))
            return Deployment("web", metadata=_inside(world, "web"), spec=pod_set(image, replicas=1), opts=opts)

        return _in_namespace(world, make)

    assert steps(world.up(web("app:1")))["web"] == "create"
    world.edit("Deployment", "web", {"spec": {"replicas": 3}}, "apis/apps/v1", manager="scaler")
    assert steps(world.up(web("app:1"))) == {}
    assert steps(world.up(web("app:2"))) == {"web": "update"}
    assert world.object("Deployment", "web", "apis/apps/v1")["spec"]["replicas"] == 3
    assert steps(world.refresh()) == {}


@pytest.mark.parametrize("maker", ["us", "pulumi"])
def test_what_was_removed_from_the_program_is_removed(
    world: World, maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a new object, whose fields belong to who applies it from the beginning, and of one of Pulumi's provider."""
    if maker == "pulumi":  # it creates as this manager, and hands the fields over with the first change
        monkeypatch.setattr(Writer, "create", lambda self, obj, _: self._cluster.create(obj, "pulumi-kubernetes"))

    def service(ports: list[int], labels: dict[str, str]) -> Callable[[], None]:
        spec = {"ports": [{"name": f"p{port}", "port": port} for port in ports]}
        return _in_namespace(
            world, lambda opts: Service("s", metadata=_inside(world, "s", labels=labels), spec=spec, opts=opts)
        )

    assert steps(world.up(service([80, 81], {"one": "1", "two": "2"})))["s"] == "create"
    (entry,) = world.object("Service", "s")["metadata"]["managedFields"]
    assert entry["operation"] == ("Update" if maker == "pulumi" else "Apply")
    assert steps(world.preview(service([82], {"two": "2"}))) == {"s": "update"}
    assert steps(world.up(service([82], {"two": "2"}))) == {"s": "update"}
    found = world.object("Service", "s")
    assert [port["port"] for port in found["spec"]["ports"]] == [82]
    assert found["metadata"]["labels"] == {"two": "2"}


def test_data_of_secrets_stands_nowhere_in_the_clear(world: World) -> None:
    word = "s3cr3t-word-of-the-test"
    encoded = base64.b64encode(word.encode()).decode()

    def make(opts: ResourceOptions) -> object:
        return Secret("key", metadata=_inside(world, "key"), string_data={"word": word}, opts=opts)

    made = world.up(_in_namespace(world, make))
    assert steps(made)["key"] == "create"
    assert steps(world.refresh()) == {}
    assert steps(world.up(_in_namespace(world, make))) == {}
    state = world.checkpoint()
    assert word not in state
    assert encoded not in state
    assert word not in repr(made)
    assert world.resources()["key"].outputs["data"] == "[secret]"


def test_the_state_is_as_pulumis_provider_writes_it(world: World) -> None:
    def make(opts: ResourceOptions) -> object:
        return ConfigMap("c", metadata={"namespace": world.namespace}, data={"a": "1"}, opts=opts)

    assert world.up(_in_namespace(world, make)).ok
    resource = world.resources()["c"]
    name = resource.id.partition("/")[2]
    metadata = {"name": name, "namespace": world.namespace, "annotations": {"pulumi.com/autonamed": "true"}}
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}}
    assert resource.inputs == resource.outputs["__inputs"] == inputs
    assert resource.outputs["__initialApiVersion"] == "v1"
    manager = resource.outputs["__fieldManager"]
    assert manager.startswith("pulumi-kubernetes-")
    live = world.object("ConfigMap", name)
    assert json.loads(json.dumps(resource.outputs["metadata"])) == live["metadata"]
    (entry,) = live["metadata"]["managedFields"]
    assert (entry["manager"], entry["operation"]) == (manager, "Apply")
