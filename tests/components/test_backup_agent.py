"""The agent makes backups that are whole, says what fails, and keeps what it should."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from components.backup.programs.backup_agent import __main__ as command_line
from components.backup.programs.backup_agent import job, service
from components.backup.programs.backup_agent.errors import AgentError
from components.backup.programs.backup_agent.places import Place
from components.backup.programs.backup_agent.records import Records
from tests.components.backup_world import World, inventory_of


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def _quiet(_step: str, percent: float | None = None) -> None:
    """Show nothing."""


def _failure(world: World) -> AgentError:
    with pytest.raises(AgentError) as raised:
        job.back_up(world.settings, _quiet)
    return raised.value


def test_a_backup_holds_dumps_folders_and_configuration(world: World) -> None:
    job.initialise(world.settings)
    steps: list[str] = []
    made = job.back_up(world.settings, lambda step, percent=None: steps.append(step))
    (snapshot,) = world.settings.place.path.glob("*/snapshots/*/files")
    assert Path(f"{snapshot}{world.settings.staging}/mlflow.dump").read_text() == "rows of mlflow"
    assert Path(f"{snapshot}{world.timer}/file").is_file()
    assert not Path(f"{snapshot}{world.timer}/cache").exists()
    assert Path(f"{snapshot}{world.settings.configuration}/manifest.d").is_dir()
    assert not Path(f"{snapshot}{world.root}/data/service-postgres").exists()
    assert steps == ["database feast", "database mlflow", "files", "files", "retention", "check"]
    assert (made["bytes"], made["added_bytes"]) == (5, 3)
    found = inventory_of(world)
    assert (found.databases, found.postgres, found.versions) == (("feast", "mlflow"), 15, {"mlflow": "3.17.2"})
    assert not world.settings.staging.exists(), "dumps don't stay"


def test_databases_are_dumped_before_files_are_read(world: World) -> None:
    job.initialise(world.settings)
    job.back_up(world.settings, _quiet)
    calls = [line.split()[0] if not line.startswith("--") else line.split()[1] for line in world.log()]
    assert calls.index("pg_dump") < calls.index("backup")


def test_only_the_last_are_kept(world: World) -> None:
    job.initialise(world.settings)
    made = [job.back_up(world.settings, _quiet)["id"] for _ in range(3)]
    assert [one["id"] for one in job.listed(world.settings)] == made[1:]
    assert [one["bytes"] for one in job.listed(world.settings)] == [5, 5]
    assert list(Records(world.settings).attempts()["backups"]) == made[1:]


@pytest.mark.parametrize(
    ("program", "what"), [("pg_dump", "pg_dump failed: connection refused"), ("check", "the disk is full")]
)
def test_what_fails_is_told_and_noted(world: World, program: str, what: str) -> None:
    job.initialise(world.settings)
    world.fails.write_text(program)
    assert what in str(_failure(world))
    attempts = Records(world.settings).attempts()
    assert what in attempts["error"]
    assert attempts["ended"] >= attempts["started"]
    world.fails.unlink()
    job.back_up(world.settings, _quiet)
    assert Records(world.settings).attempts()["error"] == ""


def test_a_place_that_is_gone_is_named_and_never_made_anew(world: World) -> None:
    job.initialise(world.settings)
    world.settings.place.path.rename(world.root / "away")
    error = _failure(world)
    assert "there is no backup repository in" in error.what
    assert "isn't mounted" in error.why
    with pytest.raises(AgentError, match="there is no backup repository"):
        job.initialise(world.settings)
    assert not world.settings.place.path.exists()


def test_what_is_to_be_backed_up_must_be_there(world: World) -> None:
    job.initialise(world.settings)
    world.settings = world.other_settings(include=("/nowhere",))
    assert "/nowhere" in str(_failure(world))


def test_a_file_that_cannot_be_read_fails_the_backup_and_one_that_went_does_not(world: World) -> None:
    job.initialise(world.settings)
    world.unread.write_text(str(world.timer / "gone"))
    job.back_up(world.settings, _quiet)
    world.unread.write_text(str(world.timer / "file"))
    assert "1 files could not be read" in str(_failure(world))


def test_restic_fails_a_backup_with_its_own_words(world: World) -> None:
    job.initialise(world.settings)
    world.fails.write_text("backup")
    assert "the disk is full" in str(_failure(world))


def test_two_backups_do_not_run_at_once(world: World) -> None:
    job.initialise(world.settings)
    with Records(world.settings).alone():
        error = _failure(world)
    assert error.refused
    assert Records(world.settings).attempts()["started"] is None, "the other one's record is left alone"


def test_the_repository_is_made_once(world: World) -> None:
    assert job.initialise(world.settings) == job.initialise(world.settings)
    assert len(list(world.settings.place.path.iterdir())) == 1


def test_a_new_password_takes_the_place_of_the_old_one(world: World) -> None:
    path = job.initialise(world.settings)
    world.settings = world.other_settings(password="new")
    assert job.initialise(world.settings) == path
    assert json.loads(Path(path, "config").read_text()) == ["new"]
    assert job.back_up(world.settings, _quiet)["id"]


def test_a_change_of_password_that_was_cut_short_is_finished(world: World) -> None:
    path = job.initialise(world.settings)
    Path(path, "config").write_text(json.dumps(["pass", "new"]))  # killed before the old one was removed
    world.settings = world.other_settings(password="new")
    job.initialise(world.settings)
    assert json.loads(Path(path, "config").read_text()) == ["new"]
    assert Records(world.settings).repository() == {
        "place": str(world.settings.place),
        "name": Path(path).name,
        "password": "new",
    }


def test_another_place_gets_a_repository_of_its_own(world: World) -> None:
    first = job.initialise(world.settings)
    world.settings = world.other_settings(place=Place(world.root / "second"))
    assert job.initialise(world.settings) != first
    assert Path(first, "config").is_file()


def test_a_place_that_is_new_gets_a_backup_at_once(world: World) -> None:
    def is_due() -> bool:
        return service.due(Records(world.settings).attempts(), time.time(), world.settings.at)

    job.initialise(world.settings)
    job.back_up(world.settings, _quiet)
    assert not is_due()
    world.settings = world.other_settings(place=Place(world.root / "second"))
    job.initialise(world.settings)
    assert is_due()
    assert service.page(Records(world.settings).attempts()) == "", "nothing of the old place is told as of this one"
    job.back_up(world.settings, _quiet)
    job.initialise(world.settings)
    assert not is_due(), "the place is the same"


def test_without_a_repository_it_says_what_to_do(world: World) -> None:
    with pytest.raises(AgentError, match="the backup repository was never made"):
        job.listed(world.settings)


def test_no_password_stands_in_an_argument(world: World) -> None:
    job.initialise(world.settings)
    world.settings = world.other_settings(password="newer-pass")
    job.initialise(world.settings)
    job.back_up(world.settings, _quiet)
    assert [line for line in world.log() if re.search(r"\bpass\b|newer-pass", line)] == []


def test_the_command_line_prints_events(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line.Settings, "read", lambda _variables: world.settings)

    def run(command: str) -> tuple[int, list[dict[str, object]]]:
        monkeypatch.setattr(command_line.sys, "argv", ["backup_agent", command])
        code = command_line.main()
        return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert run("init")[0] == 0
    code, events = run("backup")
    assert (code, events[0]["event"], events[-1]["event"]) == (0, "progress", "result")
    code, events = run("list")
    assert (code, len(events[0]["backups"])) == (0, 1)  # type: ignore[arg-type]
    assert run("nonsense")[0] == 2
    world.fails.write_text("check")
    code, events = run("backup")
    assert code == 1
    assert (events[-1]["event"], events[-1]["refused"]) == ("error", False)
    monkeypatch.setattr(job, "back_up", _interrupt)
    assert run("backup")[0] == 130


def _interrupt(*_arguments: object) -> None:
    raise KeyboardInterrupt


def test_what_runs_for_a_command_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(command_line.os, "killpg", lambda group, _number: ended.append(group))
    for group in (os.getpid(), 1):
        monkeypatch.setattr(command_line.os, "getpgrp", lambda group=group: group)
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            command_line._stop(signal.SIGTERM, None)
        signal.signal(signal.SIGINT, before)
    assert ended == [0], "only a group of its own"
