"""An agent on a host without databases saves what lies there, and brings back what fits the databases' backup."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.backup.programs.backup_agent import job, restore
from components.backup.programs.backup_agent.choice import Request
from components.backup.programs.backup_agent.errors import AgentError
from components.backup.programs.backup_agent.places import Place
from components.backup.programs.backup_agent.settings import Settings
from tests.components.backup_world import World, damaged, front_of


def _quiet(_step: str, percent: float | None = None) -> None:
    """Show nothing."""


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A host whose databases' backup is in a place that it shares with the host ``front``."""
    world = damaged(tmp_path, monkeypatch)
    shutil.copytree(world.settings.place.path, tmp_path / "mounted" / "case")
    world.artifacts.mkdir()
    return world


@pytest.fixture
def front(world: World) -> Settings:
    """The agent of the host ``front``."""
    place = world.root / "mounted" / "case.front"
    place.mkdir()
    return front_of(world, Place(place))


def test_a_host_without_databases_saves_and_brings_back_its_files(world: World, front: Settings) -> None:
    (world.timer / "file").write_text("on front")
    job.back_up(front, _quiet)
    (world.timer / "file").write_text("damaged")
    done = restore.restore(front, Request(), _quiet)
    assert (done["databases"], done["left_out"]) == ([], [])
    assert (world.timer / "file").read_text() == "on front"
    assert (world.databases / "mlflow").read_text() == "damaged", "another host's"
    assert any(line.endswith("stop programs-timer") for line in world.log())


def test_what_is_brought_back_changes_hands_once(front: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The new number of one user may be the old one of another."""
    job.back_up(front, _quiet)
    given: list[str] = []
    monkeypatch.setattr(restore.os, "chown", lambda path, *_numbers, **_options: given.append(str(path)))
    restore.restore(front, Request(), _quiet)
    assert len([path for path in given if path.endswith("/service-timer/cache")]) == 0, "it is left out"
    assert len([path for path in given if path.endswith("/service-timer/file")]) == 1
    assert len(given) == len(set(given))


@pytest.mark.parametrize("named", ["mounted", "mounted/case"])
def test_a_place_that_hosts_share_has_a_folder_for_each(world: World, front: Settings, named: str) -> None:
    request = Request(str(world.root / named))
    with pytest.raises(AgentError, match="there is no backup in"):
        restore.make_plan(front, request)
    job.back_up(front, _quiet)
    found = restore.make_plan(front, request).document()
    assert found["repository"] == str(job.own_repository(front).place), "and never that of the databases' host"


def test_a_place_without_backups_of_the_host_is_refused(world: World, front: Settings) -> None:
    front.place.path.rename(world.root / "away")
    with pytest.raises(AgentError, match=r"there is no backup repository in .*mounted/case\.front"):
        restore.make_plan(front, Request(str(world.root / "mounted")))


@pytest.mark.parametrize(
    ("since", "chosen"),
    [
        ("2026-01-01T02:00:00Z", "000001ab"),
        ("2026-01-01T03:31:00.123456789+01:00", "000002ab"),
        ("2026-01-09T02:00:00Z", "000002ab"),
    ],
)
def test_the_first_backup_after_that_of_the_databases_is_what_fits(front: Settings, since: str, chosen: str) -> None:
    for _ in range(2):
        job.back_up(front, _quiet)
    assert restore.make_plan(front, Request(since=since)).document()["id"] == chosen


@pytest.mark.parametrize(
    ("since", "lost"), [("2026-01-02T02:00:00Z", False), ("2025-12-31T02:00:00Z", True)], ids=["still there", "lost"]
)
def test_a_host_that_was_not_lost_brings_back_its_own_backups(
    world: World, front: Settings, since: str, *, lost: bool
) -> None:
    """It may have older repositories, of a machine that was there before it."""
    job.back_up(front, _quiet)
    own = job.own_repository(front).place.path
    shutil.copytree(own, own.with_name("20250101T000000Z"))
    job.back_up(front, _quiet)
    found = restore.make_plan(front, Request(str(world.root / "mounted"), since=since)).document()
    assert (found["repository"] != str(own)) is lost
