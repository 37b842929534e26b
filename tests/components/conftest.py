"""The pipelines service for the tests that talk to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

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
