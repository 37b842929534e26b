"""Services that come to another version: said, saved before, or refused."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from terrace import backup, config, host_ansible, host_facts, upgrades
from terrace.catalog import Catalog
from terrace.errors import InputError, OperationError
from terrace.host_provider import HostProvider
from terrace.resolve import resolve
from terrace.upgrades import Move

HERE = json.dumps({"name": "here", "connection": "local"})
WANTED = {
    "mlflow": {"package": "mlflow", "version": "3.17.2", "one_way": "the schemas of its databases"},
    "feast": {"package": "feast", "version": "0.67.0", "one_way": ""},
}
PROPS = {"host": HERE, "environment": "case", "role": "host", "instance": "host", "variables": "{}", "content": "c"}
AWAY = json.dumps({"name": "away", "connection": "ssh"})
NEWS = {**PROPS, "software": WANTED, "backup": f"[{HERE}, {AWAY}]"}
ROOT = Path(__file__).parents[2]


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What the host says of versions; nothing else of it is looked at."""
    versions: dict[str, str] = {}
    monkeypatch.setattr(host_ansible, "look", lambda _host, _environment: {"versions": versions})
    monkeypatch.setattr(host_ansible, "is_converged", lambda _task: True)
    monkeypatch.setattr(host_ansible, "is_up", lambda _task: True)
    monkeypatch.setattr(host_ansible, "converge", lambda _task: 0)
    monkeypatch.setattr(upgrades, "_saved", [])
    return versions


@pytest.fixture
def backups(monkeypatch: pytest.MonkeyPatch) -> list[backup.Agent]:
    """The backups that were made."""
    made: list[backup.Agent] = []
    monkeypatch.setattr(backup.Agent, "backups", lambda _agent: [])
    monkeypatch.setattr(backup.Agent, "back_up", lambda agent, _on_progress=None: made.append(agent) or {})
    monkeypatch.delenv(upgrades.WITHOUT_BACKUP, raising=False)
    return made


@pytest.mark.parametrize(
    ("before", "after", "one_way", "flags"),
    [
        ("3.16.1", "3.17.2", "its schema", (False, True, False)),
        ("3.17.2", "3.16.1", "its schema", (True, False, True)),
        ("0.9.0", "0.10.0", "", (False, False, False)),
        ("0.10.0", "0.9.0", "", (True, False, False)),
    ],
)
def test_a_move_knows_its_way(before: str, after: str, one_way: str, flags: tuple[bool, ...]) -> None:
    move = Move("one", "one", before, after, one_way)
    assert (move.is_back, move.is_for_good, move.is_refused) == flags


def test_each_way_is_said_in_a_sentence() -> None:
    up = Move("mlflow", "mlflow", "3.16.1", "3.17.2", "the schemas of its databases")
    what = "mlflow: mlflow 3.16.1 → 3.17.2 changes the schemas of its databases for good"
    assert up.sentence(saved=True) == f"{what}, a backup is made first"
    assert up.sentence(saved=False) == f"{what}, there is no slot `backup` to save it first"
    assert Move("feast", "feast", "1.0", "1.1").sentence(saved=True) == "feast: feast 1.0 → 1.1, which can go back"
    assert Move("feast", "feast", "1.1", "1.0").sentence(saved=True) == "feast: feast 1.1 → 1.0, an earlier version"


def test_only_what_is_there_moves() -> None:
    assert upgrades.moves({}, WANTED) == []
    assert upgrades.moves({"mlflow": "3.17.2", "gone": "1.0"}, WANTED) == []
    assert [move.service for move in upgrades.moves({"feast": "0.66.0", "mlflow": "3.17.2"}, WANTED)] == ["feast"]


def test_a_host_is_refused_what_cannot_go_back(known: dict[str, str]) -> None:
    known |= {"mlflow": "3.18.0", "feast": "0.99.0"}
    (failure,) = HostProvider().check({}, NEWS).failures or []
    assert failure.property == "software"
    assert "mlflow can't go back from mlflow 3.18.0 to 3.17.2" in failure.reason
    assert "terrace restore case --snapshot ID" in failure.reason


@pytest.mark.parametrize("version", ["3.16.1", "3.17.2"])
def test_a_host_takes_what_stays_or_goes_up(known: dict[str, str], version: str) -> None:
    known |= {"mlflow": version}
    assert not HostProvider().check({}, NEWS).failures
    assert not HostProvider().check({}, PROPS).failures, "a resource without software"


def test_what_is_about_to_change_for_good_is_a_change_and_is_saved_once(
    known: dict[str, str], backups: list[backup.Agent]
) -> None:
    known |= {"mlflow": "3.16.1"}
    assert HostProvider().diff("id", NEWS, NEWS).changes is True
    HostProvider().update("id", NEWS, NEWS)
    HostProvider().update("id", NEWS, NEWS)
    hosts = (json.loads(HERE), json.loads(AWAY))
    assert backups == [backup.Agent("case", "backup", hosts[0])], "the databases' host"
    HostProvider().update("id", NEWS, {**NEWS, "host": AWAY})
    assert backups[1:] == [backup.Agent("case", "host-backup", hosts[1])], "and one that is changed itself"


def test_nothing_is_changed_on_a_host_that_does_not_say_what_would_be(
    known: dict[str, str], backups: list[backup.Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_host: object, _environment: str) -> dict[str, object]:
        raise OperationError("the host can't be reached")

    monkeypatch.setattr(host_ansible, "look", away)
    assert HostProvider().diff("id", NEWS, NEWS).changes is False
    with pytest.raises(OperationError, match="can't be reached"):
        HostProvider().update("id", NEWS, NEWS)
    assert (known, backups) == ({}, [])


@pytest.mark.parametrize("versions", [{}, {"mlflow": "3.17.2"}, {"feast": "0.66.0"}])
def test_what_can_go_back_needs_no_backup(
    known: dict[str, str], backups: list[backup.Agent], versions: Mapping[str, str]
) -> None:
    known |= versions
    assert HostProvider().diff("id", NEWS, NEWS).changes is False
    assert HostProvider().update("id", NEWS, NEWS).outs == {**NEWS, "drifted": False}
    assert backups == []


def test_a_platform_without_backups_goes_on_without(known: dict[str, str], backups: list[backup.Agent]) -> None:
    known |= {"mlflow": "3.16.1"}
    HostProvider().update("id", {**NEWS, "backup": ""}, NEWS)
    assert backups == []


def test_a_failed_backup_stops_it_unless_that_was_asked_for(
    known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_agent: backup.Agent, _on_progress: object = None) -> None:
        raise OperationError("pg_dump failed", why="the disk is full")

    known |= {"mlflow": "3.16.1"}
    monkeypatch.setattr(upgrades, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(upgrades, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(backup.Agent, "back_up", fail)
    monkeypatch.setattr(backup.Agent, "backups", lambda _agent: [])
    with pytest.raises(OperationError, match=r"(?s)no backup could be made.*the disk is full.*TERRACE_WITHOUT_BACKUP"):
        HostProvider().update("id", NEWS, NEWS)
    monkeypatch.setenv(upgrades.WITHOUT_BACKUP, "1")
    HostProvider().update("id", NEWS, NEWS)


def test_a_database_that_was_just_started_is_waited_for(known: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[str] = []

    def back_up(_agent: backup.Agent, _on_progress: object = None) -> dict[str, object]:
        did.append("back up")
        if len(did) == 2:
            raise OperationError("psql failed", why="the database system is starting up")
        if len(did) == 3:
            raise InputError("a backup or a restore is running already")
        return {}

    known |= {"mlflow": "3.16.1"}
    monkeypatch.setattr(host_ansible, "converge", lambda _task: did.append("start what is there"))
    monkeypatch.setattr(upgrades, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(backup.Agent, "back_up", back_up)
    monkeypatch.setattr(backup.Agent, "backups", lambda _agent: [])
    HostProvider().update("id", NEWS, NEWS)
    assert did == ["start what is there", *["back up"] * 3]


def test_a_try_that_made_a_backup_is_not_repeated(known: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def back_up(_agent: backup.Agent, _on_progress: object = None) -> dict[str, object]:
        made.append("one")
        raise OperationError("restic check failed")

    known |= {"mlflow": "3.16.1"}
    monkeypatch.setattr(upgrades, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(backup.Agent, "back_up", back_up)
    monkeypatch.setattr(backup.Agent, "backups", lambda _agent: [*made])
    with pytest.raises(OperationError, match="no backup could be made"):
        HostProvider().update("id", NEWS, NEWS)
    assert made == ["one"]


def test_the_command_refuses_before_anything_is_touched(known: dict[str, str]) -> None:
    blueprint = resolve(config.load(ROOT, "local"))
    known |= {"mlflow": "99.0", "feast": "0.1"}
    moves = upgrades.planned(blueprint, Catalog())
    assert {move.service for move in moves} == {"mlflow", "feast"}
    with pytest.raises(InputError, match=r"mlflow can't go back from mlflow 99\.0"):
        upgrades.refuse("local", moves)


def test_hosts_are_asked_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    blueprint = resolve(config.load(ROOT, "local"))
    hosts = tuple(blueprint.hosts[0].model_copy(update={"name": f"host-{number}"}) for number in range(3))
    together = threading.Barrier(3, timeout=10)

    def look(_host: Mapping[str, Any], _environment: str) -> dict[str, Any]:
        together.wait()  # breaks where they come one after another
        return {"versions": {}}

    monkeypatch.setattr(host_ansible, "look", look)
    fleet = dataclasses.replace(blueprint, spec=blueprint.spec.model_copy(update={"hosts": hosts}))
    assert upgrades.planned(fleet, Catalog()) == []


def test_a_slot_comes_to_another_flavor_only_where_it_was_there() -> None:
    blueprint = resolve(config.load(ROOT, "local"))
    same = {slot: spec.flavor for slot, spec in blueprint.slots.items()}
    assert upgrades.changes({}, blueprint) == []
    assert upgrades.changes({**same, "gone": "one"}, blueprint) == []
    (change,) = upgrades.changes({**same, "pipelines": "timer"}, blueprint)
    assert change == upgrades.Change("pipelines", "timer", "airflow")


def test_a_host_that_cannot_be_reached_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_host: Mapping[str, Any], _environment: str) -> None:
        raise OperationError("unreachable")

    monkeypatch.setattr(host_ansible, "look", fail)
    assert upgrades.refusals(NEWS) == []


def test_a_host_knows_of_which_versions_its_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_facts, "DATA", tmp_path)
    assert host_facts.look("case")["versions"] == {}
    (tmp_path / "case" / "versions").mkdir(parents=True)
    (tmp_path / "case" / "versions" / "mlflow").write_text("3.17.2\n")
    (tmp_path / "case" / "versions" / ".mlflow.new").write_text("half")
    assert host_facts.look("case")["versions"] == {"mlflow": "3.17.2"}
