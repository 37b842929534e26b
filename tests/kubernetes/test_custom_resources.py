"""Kinds that are defined by the program itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pulumi import ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apiextensions.v1 import CustomResourceDefinition
from pulumi_kubernetes.core.v1 import Namespace

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.world import World, steps


def _program(world: World, size: int) -> Callable[[], None]:
    def program() -> None:
        space = Namespace("space", metadata={"name": world.namespace})
        schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"open_apiv3_schema": schema}}
        definition = CustomResourceDefinition(
            "definition",
            metadata={"name": f"models.{_group(world)}"},
            spec={
                "group": _group(world),
                "scope": "Namespaced",
                "names": {"plural": "models", "singular": "model", "kind": "Model"},
                "versions": [{**version, "subresources": {"status": {}}}],
            },
        )
        annotations = {"pulumi.com/waitFor": "condition=Ready"}
        CustomResource(
            "model",
            api_version=f"{_group(world)}/v1",
            kind="Model",
            metadata={"namespace": world.namespace, "name": "flights", "annotations": annotations},
            spec={"size": size},
            opts=ResourceOptions(depends_on=[space, definition]),
        )

    return program


def _group(world: World) -> str:
    return f"{world.namespace}.example.com"


@contextmanager
def _operator(plane: ControlPlane, path: str) -> Iterator[None]:
    """Something that makes an object ready, whenever it has changed."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.2):
            found = plane.request("GET", path)
            generation = found["metadata"]["generation"] if found else 0
            if found and found.get("status", {}).get("observedGeneration") != generation:
                status = {"conditions": [{"type": "Ready", "status": "True"}], "observedGeneration": generation}
                plane.request("PATCH", f"{path}/status", {"status": status}, content="application/merge-patch+json")

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_definition_and_its_objects(world: World) -> None:
    path = f"/apis/{_group(world)}/v1/namespaces/{world.namespace}/models/flights"
    everything = ("space", "definition", "model")
    assert steps(world.preview(_program(world, 1))) == dict.fromkeys(everything, "create")
    with _operator(world.plane, path):
        assert steps(world.up(_program(world, 1))) == dict.fromkeys(everything, "create")
        assert world.plane.request("GET", path)["status"]["conditions"][0]["status"] == "True"
        assert steps(world.preview(_program(world, 1))) == {}
        assert steps(world.up(_program(world, 2))) == {"model": "update"}
        assert steps(world.refresh()) == {}
        assert steps(world.up(_program(world, 2))) == {}
    assert steps(world.destroy()) == dict.fromkeys(everything, "delete")
    assert world.plane.request("GET", f"/apis/{_group(world)}/v1") is None
