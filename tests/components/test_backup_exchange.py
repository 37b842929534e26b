"""A folder comes back at once, and neither it nor the old one is lost whenever that is cut short."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from components.backup.programs.backup_agent import exchange, restore
from components.backup.programs.backup_agent.choice import Request
from components.backup.programs.backup_agent.errors import AgentError
from tests.components.backup_world import World, damaged


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return damaged(tmp_path, monkeypatch)


def _quiet(_step: str, percent: float | None = None) -> None:
    """Show nothing."""


def test_a_folder_takes_the_place_of_another_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, new = tmp_path / "path", tmp_path / "new"
    for folder in (path, new):
        folder.mkdir()
        (folder / folder.name).touch()
    monkeypatch.setattr(exchange.Path, "rename", None)  # two renames would have a moment without either of them
    exchange.swap(path, new, tmp_path / "old")
    assert (path / "new").exists()
    assert (new / "path").exists()


def _unable(*_arguments: object) -> None:
    raise OSError(errno.EINVAL, "Invalid argument")


def test_dying_between_two_renames_loses_neither_folder(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(path: Path, target: Path) -> None:
        if target == world.timer:
            raise KeyboardInterrupt
        path.replace(target)

    monkeypatch.setattr(exchange, "_exchange", _unable)
    with monkeypatch.context() as patch:
        patch.setattr(exchange.Path, "rename", rename)
        with pytest.raises(KeyboardInterrupt):
            restore.restore(world.settings, Request(), _quiet)
    assert not world.timer.exists()
    world.fails.write_text("restore")
    with pytest.raises(AgentError, match="the disk is full"):
        restore.restore(world.settings, Request(), _quiet)
    assert (world.timer / "later").exists(), "the old one is back before anything beside it is removed"
    world.fails.unlink()
    restore.restore(world.settings, Request(), _quiet)
    assert (world.timer / "file").read_text() == "file of service-timer"
    assert not (world.timer / "later").exists()


def test_what_the_system_refuses_ends_with_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_arguments: object) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(world.timer))

    monkeypatch.setattr(exchange, "_exchange", busy)
    with pytest.raises(AgentError, match=r"the restore failed: .*Device or resource busy") as raised:
        restore.restore(world.settings, Request(), _quiet)
    assert raised.value.fix.startswith("Services are stopped: restore again")
    assert (world.timer / "file").read_text() == "damaged"
