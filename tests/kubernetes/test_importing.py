"""`import`: the stack gets to know of what is there already, and the program goes on with it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import pulumi
import pulumi_kubernetes
import pytest
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace

from terrace.engine.errors import UnsupportedError
from terrace.engine.options import Import
from terrace.program_text import program_text
from tests.kubernetes.world import World, messages, steps

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


@pytest.fixture
def settings(world: World) -> Import:
    """A config map in the world's namespace that somebody else has made."""
    made = world.plane.request("POST", "/api/v1/namespaces", {"metadata": {"name": world.namespace}})
    assert made
    path = f"/api/v1/namespaces/{world.namespace}/configmaps?fieldManager=hand"
    world.plane.request("POST", path, {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    return Import(CONFIG_MAP, "mine", f"{world.namespace}/settings")


def _wanting(
    world: World, data: dict[str, str], labels: dict[str, str] | None = None, **options: object
) -> Callable[[], None]:
    def program() -> None:
        metadata = {"name": "settings", "namespace": world.namespace, "labels": labels}
        ConfigMap("mine", metadata=metadata, data=data, opts=pulumi.ResourceOptions(**options))

    return program


def test_a_program_goes_on_with_what_was_imported(world: World, settings: Import) -> None:
    before = world.object("ConfigMap", "settings")
    result = world.take_in(settings)
    assert result.ok, result.errors
    assert result.summary == {"create": 1, "import": 1}, "the stack is new"
    assert world.object("ConfigMap", "settings") == before, "nothing is changed"
    assert world.history()["kind"] == "resource-import"

    assert steps(world.preview(_wanting(world, {"a": "1"}, protect=True))) == {}
    assert "it is protected" in messages(world.up(lambda: None))
    assert steps(world.up(_wanting(world, {"a": "1"}, labels={"owner": "program"}))) == {"mine": "update"}
    assert world.object("ConfigMap", "settings")["metadata"]["labels"] == {"owner": "program"}
    assert world.destroy().ok
    assert world.object("ConfigMap", "settings") is None


def test_the_text_that_is_printed_is_the_program(world: World, settings: Import) -> None:
    assert world.take_in(settings).ok
    text = program_text(world.resources()["mine"])

    def program() -> None:
        exec(text, {"pulumi": pulumi, "pulumi_kubernetes": pulumi_kubernetes})

    assert steps(world.preview(program)) == {}
    assert steps(world.up(program)) == {}


def test_a_secret_is_told_to_nobody(world: World, settings: Import) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/secrets?fieldManager=hand"
    world.plane.request("POST", path, {"metadata": {"name": "key"}, "stringData": {"a": "hidden-word"}})
    wanted = Import("kubernetes:core/v1:Secret", "key", f"{world.namespace}/key")
    assert world.take_in(settings, wanted).ok
    kept = world.resources()["key"]
    assert "hidden" not in world.checkpoint() + json.dumps(kept.outputs)
    assert "require_secret_object('key-data')" in program_text(kept)


def test_what_the_stack_has_stays(world: World, settings: Import) -> None:
    def program() -> None:
        Namespace("other", metadata={"name": f"{world.namespace}-other"})

    assert world.up(program).ok
    before = world.resources()["other"]
    result = world.take_in(settings)
    assert result.summary == {"import": 1, "same": 2}
    assert world.resources()["other"] == before
    assert world.up(program, targets=(before.urn,)).ok


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"id": "nowhere/nothing"}, "there is nothing with the id nowhere/nothing"),
        ({"id": "a/"}, "the id 'a/' names no object"),
        ({"parent": "urn:pulumi:dev::kube::a:b:C::d"}, "the parent urn:pulumi:dev::kube::a:b:C::d isn't in the stack"),
        ({"type": "pulumi-python:dynamic/x:Y"}, "only the program knows"),
    ],
)
def test_what_cannot_be_imported_changes_nothing(
    world: World, settings: Import, change: dict[str, str], why: str
) -> None:
    assert why in messages(world.take_in(dataclasses.replace(settings, **change)))
    assert world.resources() == {}


def test_nothing_is_imported_twice(world: World, settings: Import) -> None:
    assert world.take_in(settings).ok
    assert "the stack has this resource already" in messages(world.take_in(settings))


def test_a_package_that_needs_its_plugin_is_named(world: World) -> None:
    with pytest.raises(UnsupportedError, match="needs the provider plugin of aws"):
        world.take_in(Import("aws:s3/bucket:Bucket", "data", "data"))
