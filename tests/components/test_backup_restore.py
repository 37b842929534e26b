"""A backup comes back whole, is refused before anything is touched, and survives being cut short."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from components.backup.programs.backup_agent import exchange, inventory, job, restore
from components.backup.programs.backup_agent.choice import Request
from components.backup.programs.backup_agent.errors import AgentError
from components.backup.programs.backup_agent.places import Place
from tests.components.backup_world import World, damaged


def _quiet(_step: str, percent: float | None = None) -> None:
    """Show nothing."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return damaged(tmp_path, monkeypatch)


def _refusal(world: World, request: Request = Request()) -> AgentError:  # noqa: B008  # it is immutable
    before = sorted(world.root.rglob("*"))
    with pytest.raises(AgentError) as raised:
        restore.restore(world.settings, request, _quiet)
    assert raised.value.refused
    touched = {path for path in {*before} ^ {*world.root.rglob("*")} if path.name != "log"}
    assert touched == set(), "nothing was touched"
    assert (world.databases / "mlflow").read_text() == "damaged"
    return raised.value


def test_databases_and_folders_are_what_they_were(world: World) -> None:
    done = restore.restore(world.settings, Request(), _quiet)
    assert (world.databases / "mlflow").read_text() == "rows of mlflow"
    assert sorted(one.name for one in world.databases.iterdir()) == ["feast", "mlflow"]
    assert (world.timer / "file").read_text() == "file of service-timer"
    assert not (world.timer / "later").exists(), "exactly what the backup holds"
    assert (world.artifacts / "file").read_text() == "file of artifact_folder-mlflow"
    assert done["databases"] == ["feast", "mlflow"]
    assert list((world.root / "data").rglob("*.restored")) == []
    assert not (world.settings.data / "restore").exists()


def test_what_is_only_ever_added_to_stays_as_it_is_where_there_is_any(world: World) -> None:
    note = world.settings.manifests / "service-timer.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "grows": True}))
    done = restore.restore(world.settings, Request(), _quiet)
    assert done["kept"] == [str(world.timer)]
    assert (world.timer / "later").exists()

    shutil.rmtree(world.timer)
    done = restore.restore(world.settings, Request(), _quiet)
    assert done["kept"] == []
    assert (world.timer / "file").read_text() == "file of service-timer"


def test_the_data_is_of_the_versions_that_the_backup_says(world: World) -> None:
    world.version("mlflow", "3.18.0")
    world.version("later", "1.0")
    restore.restore(world.settings, Request(), _quiet)
    assert inventory.versions_of(world.settings) == {"mlflow": "3.17.2", "later": "1.0"}
    assert (world.settings.versions / "mlflow").stat().st_mode & 0o777 == 0o644


def test_services_stop_first_and_are_prepared_anew_by_the_next_up(world: World) -> None:
    stamp = world.settings.software / "timer" / "setup" / "step"
    stamp.parent.mkdir(parents=True)
    stamp.touch()
    restore.restore(world.settings, Request(), _quiet)
    log = world.log()
    (stop,) = [number for number, line in enumerate(log) if line.endswith("stop programs-timer")]
    assert stop < next(number for number, line in enumerate(log) if line.startswith("pg_restore"))
    assert not stamp.exists()
    marks = {path.stem for path in world.settings.manifests.glob("*.converged")}
    assert marks == {"artifact_folder-mlflow", "service-postgres", "service-backup"}, "the last two keep running"


def test_a_service_that_does_not_stop_ends_it_before_data_is_replaced(world: World) -> None:
    world.fails.write_text("stop")
    with pytest.raises(AgentError, match="programs-timer did not stop"):
        restore.restore(world.settings, Request(), _quiet)
    assert (world.databases / "mlflow").read_text() == "damaged"


def test_what_was_cut_short_is_done_by_running_it_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(exchange, "swap", die)
        with pytest.raises(KeyboardInterrupt):
            restore.restore(world.settings, Request(), _quiet)
    (world.databases / "terrace_restored").write_text("left by a restore that was killed")
    restore.restore(world.settings, Request(), _quiet)
    assert (world.artifacts / "file").read_text() == "file of artifact_folder-mlflow"
    assert sorted(one.name for one in world.databases.iterdir()) == ["feast", "mlflow"]


def test_a_folder_that_is_a_mount_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restore.os.path, "ismount", lambda path: str(path) == str(world.timer))
    assert f"{world.timer} is a mount" in str(_refusal(world))


def test_a_dump_that_cannot_be_read_leaves_the_old_database(world: World) -> None:
    world.fails.write_text("pg_restore")
    with pytest.raises(AgentError, match="pg_restore failed") as raised:
        restore.restore(world.settings, Request(), _quiet)
    assert "Services are stopped: restore again" in raised.value.fix
    assert (world.databases / "mlflow").read_text() == "damaged"


def test_what_this_platform_has_no_place_for_is_left_out_and_named(world: World) -> None:
    (world.databases / "feast").unlink()
    (world.settings.manifests / "service-timer.json").unlink()
    plan = restore.make_plan(world.settings, Request()).document()
    assert (plan["databases"], plan["folders"]) == (["mlflow"], [str(world.artifacts)])
    assert plan["left_out"] == ["database feast", str(world.timer)]


def test_an_earlier_backup_can_be_chosen(world: World) -> None:
    world.artifacts.mkdir()
    job.back_up(world.settings, _quiet)
    assert restore.make_plan(world.settings, Request()).document()["id"] == "000002ab"
    first = restore.make_plan(world.settings, Request(snapshot="000001")).document()["id"]
    assert first == "000001ab"
    error = _refusal(world, Request(snapshot="9"))
    assert "there is no backup 9" in error.what
    assert "000001ab of 2026-01-01T02:30, 000002ab of" in error.fix


def test_another_machines_backups_are_found_by_place_and_password(world: World) -> None:
    place = world.root / "mounted"
    shutil.copytree(world.settings.place.path, place / "case")
    fresh = world.other_settings(password="another", data=world.root / "fresh", place=Place(world.root / "second"))
    fresh.data.mkdir()
    job.initialise(fresh)
    restore.restore(fresh, Request(str(place), None, "pass"), _quiet)
    assert (world.databases / "mlflow").read_text() == "rows of mlflow"


def test_a_lost_machines_repository_comes_before_the_new_machines_own(world: World) -> None:
    (lost,) = world.settings.place.path.iterdir()
    lost.rename(lost.with_name("20200101T000000Z"))
    rebuilt = world.other_settings(data=world.root / "fresh")
    rebuilt.data.mkdir()
    job.initialise(rebuilt)
    own = job.own_repository(rebuilt).place.path
    assert own == max(own.parent.iterdir()), "it is the newest in the place"
    found = restore.make_plan(rebuilt, Request(str(own.parent))).document()
    assert (found["id"], found["repository"] == str(own)) == ("000001ab", False)


def _gone(world: World) -> Request:
    world.settings.place.path.rename(world.root / "away")
    return Request()


def _later(world: World) -> Request:
    world.version("mlflow", "3.16.9")
    return Request()


def _full(world: World) -> Request:
    world.size.write_text(json.dumps({"mlflow.dump": 2**60}))
    return Request()


def _empty(world: World) -> Request:
    (world.root / "nothing").mkdir()
    return Request(str(world.root / "nothing"))


def _emptied(world: World) -> Request:
    for snapshot in world.settings.place.path.glob("*/snapshots/*"):
        shutil.rmtree(snapshot)
    return Request()


def _format(world: World) -> Request:
    for file in world.settings.place.path.rglob("inventory.json"):
        file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    return Request()


def _postgres(world: World) -> Request:
    for file in world.settings.place.path.rglob("inventory.json"):
        file.write_text(file.read_text().replace('"postgres": 15', '"postgres": 16'))
    return Request()


@pytest.mark.parametrize(
    ("arrange", "what"),
    [
        (_gone, "there is no backup repository in"),
        (lambda world: Request(str(world.root / "unmounted")), "there is no folder"),
        (_empty, "there is no backup repository in"),
        (_emptied, "there is no backup in"),
        (lambda _world: Request(password="wrong"), "the password opens none of the backups in"),
        (_later, "it was written by later versions: mlflow 3.17.2 (here: 3.16.9)"),
        (_postgres, "it was written by later versions: PostgreSQL 16 (here: 15)"),
        (_format, "its inventory is not of format 1"),
        (_full, "the disk is too full to restore"),
    ],
)
def test_it_is_refused_before_anything_is_touched(world: World, arrange: Callable[[World], Request], what: str) -> None:
    request = arrange(world)
    assert what in str(_refusal(world, request))


def test_each_disk_needs_space_for_what_comes_onto_it_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.settings.manifests / "service-timer.json").unlink()  # its folder is left out, however large
    moved = world.root / "second" / world.artifacts.name
    note = world.settings.manifests / f"{world.artifacts.name}.json"
    note.write_text(note.read_text().replace(str(world.artifacts), str(moved)))
    disks = {world.settings.data: (1, 10), moved.parent: (2, 100)}
    monkeypatch.setattr(restore, "_disk", disks.__getitem__)
    sizes = {"mlflow.dump": 6, "feast.dump": 4, "artifact_folder-mlflow/": 100, "service-timer/": 1000}
    world.size.write_text(json.dumps(sizes))
    restore.make_plan(world.settings, Request())
    for more in ("feast.dump", "artifact_folder-mlflow/"):
        world.size.write_text(json.dumps(sizes | {more: sizes[more] + 1}))
        with pytest.raises(AgentError, match="the disk is too full to restore") as raised:
            restore.make_plan(world.settings, Request())
        place = world.settings.data if more == "feast.dump" else moved.parent
        assert f"beside {place}" in raised.value.why


def test_the_disk_of_a_folder_to_be_is_that_of_what_is_there(tmp_path: Path) -> None:
    assert restore._disk(tmp_path / "not" / "yet")[0] == tmp_path.stat().st_dev


def test_files_of_users_that_are_not_here_become_roots(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    owners: list[int] = []
    monkeypatch.setattr(restore.os, "chown", lambda _path, number, _group, **_options: owners.append(number))
    monkeypatch.setattr(restore.pwd, "getpwnam", _nobody)
    restore.restore(world.settings, Request(), _quiet)
    assert owners
    assert set(owners) == {0}


def _nobody(name: str) -> None:
    raise KeyError(name)


def test_under_systemd_its_units_are_stopped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.root / "systemd").mkdir()
    program = world.root / "bin" / "systemctl"
    program.write_text(f'#!/bin/sh\necho "systemctl $*" >> {world.root}/log\n[ "$1" = stop ]\n')
    program.chmod(0o755)
    restore.restore(world.settings, Request(), _quiet)
    assert "systemctl stop programs-timer.service" in world.log()


def test_a_folder_that_was_moved_is_backed_up_and_restored_where_it_is_now(world: World) -> None:
    moved = world.root / "second" / world.timer.name
    moved.parent.mkdir()
    world.timer.rename(moved)
    file = world.settings.manifests / "service-timer.json"
    entry = json.loads(file.read_text())
    file.write_text(json.dumps(entry | {"data": [str(moved), *entry["data"]]}))
    world.artifacts.mkdir()
    job.back_up(world.settings, _quiet)
    for snapshot in (None, "000001"):
        (moved / "file").write_text("damaged again")
        restore.restore(world.settings, Request(snapshot=snapshot), _quiet)
        assert (moved / "file").read_text() == ("damaged" if snapshot is None else "file of service-timer")
        assert not world.timer.exists()
