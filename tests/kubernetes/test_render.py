"""A rendering that the server applies, as `kubectl apply --server-side` asks it to, is what `up` makes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import yaml

from terrace import platform
from terrace.cli.options import COMPONENTS, target_patterns
from terrace.engine import Project
from terrace.engine.outline import outline
from terrace.rendered_folder import write
from terrace.rendering import rendered
from terrace.resolve import Blueprint
from tests.kubernetes.test_platform import DEPLOYMENTS, JOBS, STATEFUL_SETS, wanted
from tests.kubernetes.world import World, steps

__all__ = ["wanted"]  # a fixture

SECONDS = 120
# Of an object's metadata these are its author's; the rest is the server's.
AUTHORED = ("name", "namespace", "labels", "annotations")
# What the server or a controller writes for each object anew.
ASSIGNED = ("clusterIP", "clusterIPs", "controller-uid", "batch.kubernetes.io/controller-uid", "status")
# What differs on purpose: a checksum of what is known without secrets, and what tools of GitOps are told.
DIFFERENT = ("checksum/config", "argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/")


def test_a_rendering_that_is_applied_is_what_up_makes(world: World, wanted: Blueprint, tmp_path: Path) -> None:
    def build() -> None:
        platform.build(wanted)

    folder = tmp_path / "deploy"
    found = rendered("local", outline(Project.load(world.root), "dev", build).resources)
    write(found, folder)
    objects = [yaml.safe_load(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.yaml"))]
    assert len(objects) > 50

    assert set(steps(world.up(build)).values()) == {"create"}
    made_by_up = [_common(_live(world, each)) for each in objects]
    assert "delete" in steps(world.destroy()).values()

    secrets = steps(world.up(build, targets=(*target_patterns("secrets"), COMPONENTS)))
    named = {f"{each.kind} {each.name}" for each in found.left_out}
    assert {_described(world, name) for name in secrets} == {f"Namespace {world.namespace}", *named}
    for each in objects:
        _apply(world, each)
    _wait_until_ready(world)
    assert [_common(_live(world, each)) for each in objects] == made_by_up

    generations = [_live(world, each)["metadata"].get("generation") for each in objects]
    for each in objects:
        _apply(world, each)
    assert [_live(world, each)["metadata"].get("generation") for each in objects] == generations
    assert _refusals(world) == []


def _described(world: World, name: str) -> str:
    inputs = world.resources()[name].inputs
    return f"{inputs['kind']} {inputs['metadata']['name']}"


def _path(world: World, document: dict[str, Any]) -> str:
    kind, name, version = document["kind"], document["metadata"]["name"], document["apiVersion"]
    if kind == "Namespace":
        return f"/api/v1/namespaces/{name}"
    assert document["metadata"]["namespace"] == world.namespace
    return world.path(kind, name, "api/v1" if version == "v1" else f"apis/{version}")


def _apply(world: World, document: dict[str, Any]) -> None:
    """Apply an object. Nothing is forced: whatever somebody else holds has to have the same value."""
    path = f"{_path(world, document)}?fieldManager=kubectl"
    world.plane.request("PATCH", path, document, content="application/apply-patch+yaml")


def _live(world: World, document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = world.plane.request("GET", _path(world, document))
    return found


def _common(live: dict[str, Any]) -> Any:
    """Return an object as the server keeps it, all defaults put in, without what is each one's own."""
    metadata = {key: live["metadata"][key] for key in AUTHORED if key in live["metadata"]}
    return _without_own({**live, "metadata": metadata})


def _without_own(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_own(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: _without_own(item) for key, item in value.items() if key not in ASSIGNED and not key.startswith(DIFFERENT)
    }
    return {key: item for key, item in kept.items() if key != "annotations" or item}


def _wait_until_ready(world: World) -> None:
    """Wait until every service of the platform is ready, and every job done."""
    end = time.monotonic() + SECONDS
    while waiting := _waiting(world):
        assert time.monotonic() < end, f"not ready after {SECONDS} s: {waiting}; {_refusals(world)}"
        time.sleep(0.5)


def _waiting(world: World) -> list[str]:
    wanted = [
        *(("Deployment", name, "apis/apps/v1", "readyReplicas") for name in DEPLOYMENTS),
        *(("StatefulSet", name, "apis/apps/v1", "readyReplicas") for name in STATEFUL_SETS),
        *(("Job", name, "apis/batch/v1", "succeeded") for name in JOBS),
    ]
    return [name for kind, name, api, count in wanted if world.object(kind, name, api)["status"].get(count) != 1]


def _refusals(world: World) -> list[str]:
    events = world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}/events")["items"]
    return [event["message"] for event in events if event["reason"] == "FailedCreate"]
