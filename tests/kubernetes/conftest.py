"""One control plane for all tests; each test has a project and a namespace of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.binaries import REGISTRY, Say, built
from tests.kubernetes.control_plane import ControlPlane, running
from tests.kubernetes.volumes import storage_class
from tests.kubernetes.world import World


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Say:
    """Says to whoever waits what is going on, past what pytest captures."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(text, file=sys.stderr, flush=True)

    return say


@pytest.fixture(scope="session")
def distribution(say: Say) -> Path:
    """The program of a registry."""
    return built([REGISTRY], say)["registry"]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory, say: Say) -> Iterator[ControlPlane]:
    with running(tmp_path_factory.mktemp("control-plane"), say) as started:
        yield started


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("PULUMI_", "KUBERNETES_")) or name == "KUBECONFIG":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # no ~/.kube/config of the machine's


@pytest.fixture
def world(
    tmp_path: Path, plane: ControlPlane, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> World:
    monkeypatch.setenv("KUBECONFIG", str(plane.kubeconfig))
    return World(tmp_path / "world", plane, request.node.name)


@pytest.fixture
def storage(plane: ControlPlane, world: World) -> Iterator[str]:
    with storage_class(plane, f"of-the-tests-{world.namespace}") as name:
        yield name
