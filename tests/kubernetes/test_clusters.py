"""Several clusters in one program, and programs that move from one to another."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pulumi
from pulumi import ResourceOptions
from pulumi_kubernetes import Provider
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace

from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.world import World, messages, steps


def _kubeconfig(plane: ControlPlane, **clusters: str) -> str:
    """A kubeconfig with a context for each cluster; all lead to the same server."""
    content = json.loads(plane.kubeconfig.read_text(encoding="utf-8"))
    template, user = content["clusters"][0]["cluster"], content["users"][0]["name"]
    content["clusters"] = [{"name": name, "cluster": {**template, "server": url}} for name, url in clusters.items()]
    content["contexts"] = [
        {"name": f"to-{name}", "context": {"cluster": name, "user": user, "namespace": f"{name}-space"}}
        for name in clusters
    ]
    del content["current-context"]
    return json.dumps(content)


def test_two_clusters(world: World, plane: ControlPlane) -> None:
    """By a context of a given kubeconfig, and by the environment's; each object goes where its provider says."""
    port = plane.server.rpartition(":")[2]
    text = _kubeconfig(plane, one=plane.server, two=f"https://localhost:{port}")

    def program() -> None:
        one = Provider("one", kubeconfig=pulumi.Output.secret(text), context="to-one", namespace=world.namespace)
        two = Provider("two", kubeconfig=pulumi.Output.secret(text), context="to-one", cluster="two")
        space = Namespace("space", metadata={"name": world.namespace}, opts=ResourceOptions(provider=one))
        ConfigMap("a", data={"x": "1"}, opts=ResourceOptions(provider=one, depends_on=[space]))
        other = Namespace("other", metadata={"name": "one-space"}, opts=ResourceOptions(provider=two))
        ConfigMap("b", metadata={"name": "b"}, data={"x": "2"}, opts=ResourceOptions(provider=two, depends_on=[other]))

    assert steps(world.up(program)) == dict.fromkeys(("space", "a", "other", "b"), "create")
    ids = {name: item.id for name, item in world.resources().items()}
    assert ids["a"].startswith(f"{world.namespace}/a-")
    assert ids["b"] == "one-space/b"  # the context's namespace, at the other cluster's address
    assert steps(world.up(program)) == {}
    assert steps(world.refresh()) == {}
    assert "client-key" not in world.checkpoint()  # a kubeconfig that was given as a secret stays one
    assert set(steps(world.destroy()).values()) == {"delete"}


def _moving(world: World, text: str, context: str) -> Callable[[], None]:
    def program() -> None:
        provider = Provider("cluster", kubeconfig=text, context=context)
        metadata = {"name": world.namespace}
        Namespace("space", metadata=metadata, opts=ResourceOptions(provider=provider, delete_before_replace=True))

    return program


def test_a_program_that_moves_to_another_cluster(world: World, plane: ControlPlane) -> None:
    text = _kubeconfig(plane, one=plane.server, two=plane.server.replace("127.0.0.1", "localhost"))
    assert steps(world.up(_moving(world, text, "to-one"))) == {"space": "create"}
    before = plane.request("GET", f"/api/v1/namespaces/{world.namespace}")["metadata"]["uid"]
    planned = world.preview(_moving(world, text, "to-two"))
    assert [step.op for step in planned.steps if step.type.endswith(":Namespace")] == _REPLACED
    moved = world.up(_moving(world, text, "to-two"))
    assert [step.op for step in moved.steps if step.type.endswith(":Namespace")] == _REPLACED
    assert plane.request("GET", f"/api/v1/namespaces/{world.namespace}")["metadata"]["uid"] != before
    assert steps(world.up(_moving(world, text, "to-two"))) == {}
    assert world.destroy().ok


_REPLACED = ["delete-replaced", "replace", "create-replacement"]


def test_what_a_provider_cannot_do_is_refused(world: World) -> None:
    def program() -> None:
        provider = Provider("files", render_yaml_to_directory="out")
        Namespace("space", opts=ResourceOptions(provider=provider))

    from terrace.engine import UnsupportedError

    try:
        told: Any = world.up(program)
    except UnsupportedError as error:
        told = str(error)
    assert "rendering objects to a folder isn't supported by the embedded engine" in told
    assert "use --engine pulumi" in told


def test_a_kubeconfig_that_makes_no_sense(world: World) -> None:
    world.configure({"kubernetes:kubeconfig": "nowhere-at-all"})
    told = messages(world.up(lambda: _space(world)))
    assert "'nowhere-at-all' is neither a file nor a kubeconfig" in told
    world.configure({"kubernetes:context": "elsewhere"})
    assert "Expected object with name elsewhere in" in messages(world.up(lambda: _space(world)))


def _space(world: World) -> None:
    Namespace("space", metadata={"name": world.namespace})
