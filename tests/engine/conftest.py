"""A world for each test, and nothing of the machine's own Pulumi settings in it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from terrace.engine.secrets import Crypter
from tests.engine.engine_world import PASSPHRASE, SALT, World


@pytest.fixture(autouse=True)
def _own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PULUMI_BACKEND_URL", "PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("WORLD", "CALLS"):  # World sets them; this takes them back
        monkeypatch.setenv(name, "")


@pytest.fixture(autouse=True)
def _ctrl_c_counts() -> Iterator[None]:
    """Tests that run in the background, where Ctrl-C is ignored, send it to themselves all the same."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "world", "basic")


@pytest.fixture
def crypter() -> Crypter:
    return Crypter(SALT, lambda: PASSPHRASE, "here")
