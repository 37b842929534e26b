"""Kinds that are defined by the program itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.kubernetes.cases import a_kind_of_its_own, group_of, text_of
from tests.kubernetes.cli import by_cli, needed
from tests.kubernetes.control_plane import ControlPlane
from tests.kubernetes.world import World, steps


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
    path = _path(world)
    everything = ("space", "definition", "model")
    assert steps(world.preview(a_kind_of_its_own(world.namespace, 1))) == dict.fromkeys(everything, "create")
    with _operator(world.plane, path):
        assert steps(world.up(a_kind_of_its_own(world.namespace, 1))) == dict.fromkeys(everything, "create")
        assert world.plane.request("GET", path)["status"]["conditions"][0]["status"] == "True"
        assert steps(world.preview(a_kind_of_its_own(world.namespace, 1))) == {}
        assert steps(world.up(a_kind_of_its_own(world.namespace, 2))) == {"model": "update"}
        assert steps(world.refresh()) == {}
        assert steps(world.up(a_kind_of_its_own(world.namespace, 2))) == {}
    assert steps(world.destroy()) == dict.fromkeys(everything, "delete")
    assert world.plane.request("GET", f"/apis/{group_of(world.namespace)}/v1") is None


@needed
def test_either_engine_goes_on_where_the_other_stopped(world: World) -> None:
    first, second = (text_of(a_kind_of_its_own, world.namespace, size) for size in (1, 2))
    with _operator(world.plane, _path(world)):
        assert set(steps(world.up(a_kind_of_its_own(world.namespace, 1))).values()) == {"create"}
        assert by_cli(world, first, "refresh", "--yes", "--skip-preview") == {}
        assert by_cli(world, first, "preview") == {}
        assert by_cli(world, second, "up", "--yes", "--skip-preview") == {"model": "update"}
        assert steps(world.refresh()) == {}
        assert steps(world.preview(a_kind_of_its_own(world.namespace, 2))) == {}
        assert world.destroy().ok

        assert set(by_cli(world, first, "up", "--yes", "--skip-preview").values()) == {"create"}
        assert steps(world.refresh()) == {}
        assert steps(world.preview(a_kind_of_its_own(world.namespace, 1))) == {}
        assert steps(world.up(a_kind_of_its_own(world.namespace, 2))) == {"model": "update"}
        assert by_cli(world, second, "preview") == {}
        by_cli(world, second, "destroy", "--yes", "--skip-preview")


def _path(world: World) -> str:
    return f"/apis/{group_of(world.namespace)}/v1/namespaces/{world.namespace}/models/flights"
