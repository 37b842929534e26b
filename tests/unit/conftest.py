"""What tests of the command line have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from terrace import host_facts
from terrace.cli import operations
from tests.unit.played import Recorded


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, as the working folder, with an environment ``local``."""
    (tmp_path / "Pulumi.yaml").write_text("name: terrace\nruntime: python\nmain: stacks\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text("config:\n  terrace:tier: 3\n  terrace:target: host\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # notes stand beside the state
    return tmp_path


@pytest.fixture(autouse=True)
def _no_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep off what is up on this machine: there may be an environment ``local``, with data."""
    for name in ("DATA", "MANIFESTS", "SUPERVISORS"):
        monkeypatch.setattr(host_facts, name, tmp_path / "machine" / name.lower())


@pytest.fixture
def versions() -> Path:
    """Where the machine notes of which versions the data of the environment ``local`` is: none, at first."""
    folder = host_facts.DATA / "local" / "versions"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def play(project: Path, versions: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorded]:
    """Have the environment's stack be a recorded one."""

    def use(stack: Recorded) -> Recorded:
        monkeypatch.setattr(operations, "_stack", lambda *_arguments: stack)
        return stack

    return use
