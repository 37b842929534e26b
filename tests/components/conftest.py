"""The pipelines service for the tests that talk to it, and a plan for a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from components.pipelines.programs.airflow_intake import engine, watch
from tests.components.cluster import whole, with_a_person
from tests.components.played_airflow import Intake
from tests.components.recording import ON_KUBERNETES, Recorded, blueprint, plan
from tests.components.timer_server import InProcess, Server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One service for the tests that leave it running."""
    server = InProcess(tmp_path_factory.mktemp("timer"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A service with settings of the test's own; the test starts it."""
    server = InProcess(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def intake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Intake]:
    """The service before a played Airflow, which is asked more often than a real one."""
    monkeypatch.setattr(engine, "FOLLOW_SECONDS", 0.05)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 0.1)
    server = Intake(tmp_path / "intake")
    server.start()
    yield server
    server.stop()
    server.airflow.close()


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    folder = tmp_path_factory.mktemp("stack")
    return plan(blueprint(ON_KUBERNETES, folder, target="kubernetes", edit=with_a_person))


@pytest.fixture(scope="module")
def objects(planned: list[Recorded]) -> list[dict[str, Any]]:
    """Every object of the API; the protocol makes numbers floating."""
    return [whole(resource.inputs) for resource in planned if resource.type.startswith("kubernetes:")]
