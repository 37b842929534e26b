"""A password is handed over once."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from terrace.engine.project import Project
from terrace.errors import InputError, OperationError
from terrace.handover import Handovers, write_once


def test_a_password_is_noted_once_and_a_new_one_again(tmp_path: Path) -> None:
    handovers = Handovers(tmp_path / "notes", "local")
    handovers.note("scientist", "first-password")

    with pytest.raises(OperationError) as caught:
        handovers.note("scientist", "first-password")

    assert "scientist's password was handed over already" in str(caught.value)
    assert "terrace credentials local scientist --new" in str(caught.value)
    handovers.note("scientist", "second-password")
    handovers.note("engineer", "first-password")


def test_a_note_holds_no_password(tmp_path: Path) -> None:
    handovers = Handovers(tmp_path / "notes", "local")
    handovers.note("scientist", "first-password")

    (note,) = handovers.folder.iterdir()

    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert "first-password" not in note.name + note.read_text(encoding="utf-8")


def test_a_note_that_was_cut_short_counts(tmp_path: Path) -> None:
    handovers = Handovers(tmp_path / "notes", "local")
    handovers.note("scientist", "first-password")
    (note,) = handovers.folder.iterdir()
    note.write_text("", encoding="utf-8")

    with pytest.raises(OperationError, match="somebody did it at the same time"):
        handovers.note("scientist", "first-password")


def test_notes_stand_beside_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    project = Project("shop", tmp_path, tmp_path, tmp_path / "stacks", f"file://{tmp_path}/state")
    elsewhere = Project("shop", tmp_path, tmp_path, tmp_path / "stacks", "s3://bucket")

    beside = tmp_path / "state" / ".pulumi" / "terrace" / "shop" / "dev.handed-over"
    assert Handovers.of(project, "dev").folder == beside
    assert Handovers.of(elsewhere, "dev").folder == tmp_path / "config" / "terrace" / "shop" / "dev.handed-over"


def test_what_is_written_is_the_owners_and_overwrites_nothing(tmp_path: Path) -> None:
    file = tmp_path / "account.json"
    noted: list[bool] = []
    write_once(file, {"password": "first-password"}, lambda: noted.append(True))

    with pytest.raises(InputError, match="File exists"):
        write_once(file, {"password": "second-password"}, lambda: noted.append(True))

    assert noted == [True], "a password that wasn't written isn't handed over"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "first-password" in file.read_text(encoding="utf-8")


def test_what_was_handed_over_is_written_nowhere(tmp_path: Path) -> None:
    handovers = Handovers(tmp_path / "notes", "local")
    handovers.note("scientist", "first-password")

    with pytest.raises(OperationError):
        write_once(tmp_path / "account.json", {}, lambda: handovers.note("scientist", "first-password"))

    assert not (tmp_path / "account.json").exists()
