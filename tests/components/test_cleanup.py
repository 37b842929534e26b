"""The cleanup of MLflow: what it removes, notes and holds, and what a failure or a kill leaves."""

from __future__ import annotations

import datetime
import logging
import time
from pathlib import Path

import pytest

from components.audit.programs.audit_log.events import parse
from components.tracking.programs.mlflow_cleanup.cleaning import clean
from components.tracking.programs.mlflow_cleanup.records import Records
from tests.components.cleanup_world import IDS, LONG_AGO, Played, make_records, told


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return make_records(tmp_path / "cleanup")


def test_what_goes_is_counted_and_told(records: Records) -> None:
    played = Played("a", "b")
    played.versions = {"delay version 1": (IDS["b"],)}
    clean(played, records, 30)
    assert list(played.runs) == [IDS["b"]]
    state = records.state()
    assert state["removed"] == {"model": 0, "run": 1, "experiment": 0}
    assert (state["freed_bytes"], state["held"], state["waiting"], state["failed"]) == (100, 1, 0, 0)
    event = parse(records.untold()[0])
    assert (event.actor, event.action, event.outcome) == ("mlflow", "delete_for_good", "ok")
    assert event.object == f"tracking: run {IDS['a']}"
    day = datetime.datetime.fromtimestamp(LONG_AGO, datetime.UTC).date()
    assert event.detail == f"of experiment 4, deleted {day}, 100 bytes of artifacts"


def test_at_first_nothing_goes(tmp_path: Path) -> None:
    played, records = Played("a"), Records(tmp_path)
    clean(played, records, 30)
    assert list(played.runs) == [IDS["a"]]
    assert records.state()["waiting"] == 1


def test_what_a_restore_brings_back_has_all_its_time_again(records: Records) -> None:
    played = Played("a", "b")
    played.refuses = {IDS["b"]}
    clean(played, records, 30)
    played.runs |= {IDS["a"]: LONG_AGO}
    played.refuses = set()
    clean(played, records, 30)
    assert list(played.runs) == [IDS["a"]], "what could not be removed doesn't begin anew"
    assert records.state()["waiting"] == 1


def test_what_fails_does_not_keep_the_rest(records: Records, caplog: pytest.LogCaptureFixture) -> None:
    played = Played("a", "b", "c")
    played.refuses = {IDS["b"]}
    clean(played, records, 30)
    assert list(played.runs) == [IDS["b"]]
    assert (records.state()["failed"], records.state()["removing"]) == (1, None)
    assert "the disk says no" in caplog.text
    played.refuses = set()
    clean(played, records, 30)
    assert (played.runs, records.state()["failed"]) == ({}, 0)
    assert len(told(records)) == 3


def test_who_registers_something_meanwhile_is_in_time(records: Records, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    played = Played("a", "b")
    played.before_removal = lambda: played.versions.update({"delay version 1": (IDS["b"],)})
    clean(played, records, 30)
    assert list(played.runs) == [IDS["b"]]
    assert f"run {IDS['b']} stays: delay version 1 came from it" in caplog.text


def test_who_restores_something_meanwhile_is_in_time(records: Records, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    played = Played("a", "b")
    played.experiments = {"4": LONG_AGO}
    played.before_removal = lambda: (played.runs.pop(IDS["b"]), played.experiments.clear())
    clean(played, records, 30)
    assert told(records) == [f"tracking: run {IDS['a']}"]
    for key in (f"run {IDS['b']}", "experiment 4"):
        assert f"{key} stays: somebody changed it meanwhile" in caplog.text


def test_who_restores_and_deletes_again_meanwhile_has_all_the_time_again(records: Records) -> None:
    played = Played("a", "b")
    played.before_removal = lambda: played.runs.update({IDS["b"]: time.time()})
    clean(played, records, 30)
    assert list(played.runs) == [IDS["b"]]


def test_a_database_that_goes_away_in_the_middle_stops_the_rest(records: Records) -> None:
    played = Played("a", "b", "c")
    played.before_removal = lambda: setattr(played, "away", True)
    clean(played, records, 30)
    assert list(played.runs) == [IDS["b"], IDS["c"]], "nobody can say what is held"
    assert (records.state()["failed"], len(told(records))) == (2, 1)
    with pytest.raises(ConnectionError):
        clean(played, records, 30)
    played.before_removal, played.away = lambda: None, False
    clean(played, records, 30)
    assert (played.runs, records.state()["failed"], len(told(records))) == ({}, 0, 3)


class Killed(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("removed", [True, False])
def test_a_kill_loses_nothing_of_what_is_told(records: Records, removed: bool) -> None:
    played = Played("a")

    def kill() -> None:
        if removed:
            played.runs.clear()
        raise Killed

    played.before_removal = kill
    with pytest.raises(Killed):
        clean(played, records, 30)
    played.before_removal = lambda: None
    clean(played, records, 30)
    assert played.runs == {}
    assert told(records) == [f"tracking: run {IDS['a']}"], "once, whoever noted it"
    assert records.state()["freed_bytes"] == 100


def test_what_is_restored_after_a_kill_is_not_told_as_removed(records: Records) -> None:
    played = Played("a")

    def kill() -> None:
        raise Killed

    played.before_removal = kill
    with pytest.raises(Killed):
        clean(played, records, 30)
    played.restore()
    clean(played, records, 30)
    assert (told(records), records.state()["removing"]) == ([], None)
    assert records.state()["removed"]["run"] == 0
