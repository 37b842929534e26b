"""`terrace.backup` runs the agent with no more rights than it needs, and tells what it said."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from terrace import backup
from terrace.backup import Agent, Backups, Request
from terrace.errors import InputError, OperationError

SERVICES = {"services": [{"slot": "database", "name": "db"}, {"slot": "backup", "name": "keeper"}]}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host whose launcher and setpriv note how they were called, and answer with the file `answer`."""
    launcher = tmp_path / "case" / "launch.py"
    launcher.parent.mkdir()
    launcher.write_text(
        f"#!/bin/sh\ncat > {tmp_path}/stdin\ncat {tmp_path}/answer\ncat {tmp_path}/error >&2\n"
        f"exit $(cat {tmp_path}/code)\n"
    )
    setpriv = tmp_path / "bin" / "setpriv"
    setpriv.parent.mkdir()
    setpriv.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/setpriv\nshift 6\nexec "$@"\n')
    for program in (launcher, setpriv):
        program.chmod(0o755)
    for name, text in (("answer", ""), ("error", ""), ("code", "0")):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("PATH", f"{setpriv.parent}:/usr/bin:/bin")
    monkeypatch.setattr(backup, "SOFTWARE", tmp_path)
    monkeypatch.setattr(backup.os, "geteuid", lambda: 0)
    return tmp_path


def _answer(world: Path, *events: dict[str, Any], code: int = 0) -> None:
    (world / "answer").write_text("".join(json.dumps(event) + "\n" for event in events))
    (world / "code").write_text(str(code))


def test_the_agent_is_the_slots_service() -> None:
    assert Backups.of("case", SERVICES).agents == (Agent("case", "keeper"),)


@pytest.mark.parametrize(
    ("outputs", "what"),
    [
        ({}, "case isn't up"),
        ({"services": [{"slot": "database", "name": "db"}]}, "case has no backups"),
        ({**SERVICES, "target": "kubernetes"}, "case is in a cluster"),
    ],
)
def test_without_the_slot_it_says_what_to_do(outputs: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        Backups.of("case", outputs)


def test_a_backup_runs_as_the_services_user_who_may_read_everything(world: Path) -> None:
    steps: list[tuple[str, float | None]] = []
    _answer(world, {"event": "progress", "step": "files", "percent": 50.0}, {"event": "result", "id": "a1"})
    assert Agent("case", "keeper").back_up(lambda *step: steps.append(step)) == {"id": "a1"}
    assert steps == [("files", 50.0)]
    words = (world / "setpriv").read_text().split()
    assert words[0] == "--reuid=terrace-case-keeper"
    assert "--ambient-caps=-all,+dac_read_search" in words
    assert words[-1] == "backup"


def test_backups_are_listed(world: Path) -> None:
    _answer(world, {"event": "result", "backups": [{"id": "a1"}]})
    assert Agent("case", "keeper").backups() == [{"id": "a1"}]


def test_a_restore_runs_as_root_and_gets_the_password_by_standard_input(world: Path) -> None:
    _answer(world, {"event": "result", "id": "a1"})
    request = Request("/mnt", "a1", "hush")
    agent = Agent("case", "keeper")
    assert agent.plan(request) == agent.restore(request) == {"id": "a1"}
    assert not (world / "setpriv").exists()
    told = {"place": "/mnt", "snapshot": "a1", "password": "hush", "since": None}
    assert json.loads((world / "stdin").read_text()) == told
    assert "hush" not in repr(request)


FRONT = {"name": "front", "connection": "ssh"}
STORE = {"name": "store", "connection": "local"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Request | None]]:
    """What the agents of two hosts were asked, in that order; they answer with what they are called."""
    calls: list[tuple[str, str, Request | None]] = []

    def call(agent: Agent, command: str, on_progress: backup.OnProgress, request: Request | None = None) -> Any:
        calls.append((agent.service, command, request))
        on_progress("files", None)
        return {"id": f"of-{agent.where}", "time": "2026-03-01T02:30:00Z", "backups": [{"id": "a1"}]}

    monkeypatch.setattr(Agent, "_call", call)
    return calls


def test_every_host_is_backed_up_that_of_the_databases_first(asked: list[Any]) -> None:
    steps: list[str] = []
    made = Backups.on("case", [STORE, FRONT]).back_up(lambda step, _percent: steps.append(step))
    assert (made["host"], made["id"], made["others"][0]["host"]) == ("store", "of-store", "front")
    assert [(service, command) for service, command, _ in asked] == [("backup", "backup"), ("host-backup", "backup")]
    assert steps == ["store: files", "front: files"]


def test_other_hosts_bring_back_what_fits_the_databases_which_come_last(asked: list[Any]) -> None:
    backups, request = Backups.on("case", [STORE, FRONT]), Request("/mnt", "a1", "hush")
    plan = backups.plan(request)
    fitting = Request("/mnt", None, "hush", since="2026-03-01T02:30:00Z")
    assert asked == [("backup", "plan", request), ("host-backup", "plan", fitting)]
    assert (plan["host"], plan["others"][0]["host"]) == ("store", "front")
    backups.restore(request, plan)
    assert asked[2:] == [
        ("host-backup", "restore", dataclasses.replace(fitting, snapshot="of-front")),
        ("backup", "restore", Request("/mnt", "of-store", "hush")),
    ]


def test_backups_of_several_hosts_are_listed_with_them(asked: list[Any]) -> None:
    found = Backups.on("case", [STORE, FRONT]).backups()
    assert found == [{"host": "store", "id": "a1"}, {"host": "front", "id": "a1"}]


@pytest.mark.parametrize(("code", "kind"), [(2, InputError), (1, OperationError)])
def test_what_the_agent_refuses_is_the_users_to_correct(world: Path, code: int, kind: type[Exception]) -> None:
    error = {"event": "error", "what": "no place", "why": "", "fix": "mount it", "refused": code == 2}
    _answer(world, error, code=code)
    with pytest.raises(kind) as raised:
        Agent("case", "keeper").back_up()
    assert str(raised.value) == "keeper of case: no place\n  fix: mount it"


@pytest.mark.parametrize(("said", "why"), [("Killed", "Killed"), ("", "it ended with 137")])
def test_an_agent_that_dies_is_told(world: Path, said: str, why: str) -> None:
    _answer(world, code=137)
    (world / "error").write_text(said)
    with pytest.raises(OperationError, match=why):
        Agent("case", "keeper").back_up()


def test_who_is_not_root_uses_sudo(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup.os, "geteuid", lambda: 1000)
    sudo = world / "bin" / "sudo"
    sudo.write_text(f'#!/bin/sh\necho "sudo $@" > {world}/sudo\nshift\nexec "$@"\n')
    sudo.chmod(0o755)
    _answer(world, {"event": "result", "id": "a1"})
    Agent("case", "keeper").back_up()
    assert (world / "sudo").read_text().startswith("sudo -n setpriv --reuid=terrace-case-keeper")


def test_an_agent_ends_with_the_command_that_is_stopped(world: Path) -> None:
    (world / "case" / "launch.py").write_text(
        f"#!/bin/sh\ntrap 'touch {world}/ended; exit 130' TERM\n"
        'echo \'{"event": "progress", "step": "files", "percent": 1}\'\nwhile :; do sleep 0.05; done\n'
    )

    def stop(_step: str, _percent: float | None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Agent("case", "keeper").back_up(stop)
    assert (world / "ended").exists()
