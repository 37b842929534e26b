"""Running a role: what Ansible is given, and what is made of what it says."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from terrace import host_ansible, remote, remote_facts
from terrace.errors import OperationError
from terrace.host_ansible import Task, literal
from tests.host.machine import wait_for

TASK = Task({"name": "here", "connection": "local"}, "test", "tiny", "one", {"the_password": "s3cret-pa55word"}, "d1")

# The functions themselves; the fixture `role` plays the first.
INVENTORY, ENVIRONMENT = host_ansible._inventory, host_ansible._environment


def event(kind: str, **data: Any) -> dict[str, Any]:
    return {"event": kind, "event_data": data}


def test_every_text_is_marked_as_no_template() -> None:
    marked = literal({"a": "{{ x }}", "n": 1, "list": ["b", None], "deep": {"c": True}})
    assert marked == {
        "a": {"__ansible_unsafe": "{{ x }}"},
        "n": 1,
        "list": [{"__ansible_unsafe": "b"}, None],
        "deep": {"c": True},
    }


def test_the_failing_task_is_named_without_its_secrets() -> None:
    events = host_ansible._Events()
    result = {"msg": "non-zero return code", "stderr": "no such role s3cret-pa55word", "stdout": "tried"}
    events.take(event("runner_on_failed", task="Make the database", res=result))
    error = events.error(TASK, "failed")
    assert error.what == "could not «Make the database»"
    assert error.where == "tiny one on here"
    assert error.why == "no such role [secret]\ntried"


def test_the_failing_item_of_a_loop_is_what_is_told() -> None:
    events = host_ansible._Events()
    items = [{"failed": False, "msg": "fine"}, {"failed": True, "msg": "this one"}]
    events.take(event("runner_on_failed", task="Loop", res={"msg": "One or more items failed", "results": items}))
    assert events.error(TASK, "failed").why == "this one"


def test_a_failure_that_ansible_keeps_to_itself_says_why() -> None:
    events = host_ansible._Events()
    events.take(event("runner_on_failed", task="Write", res={"censored": "the output has been hidden"}))
    assert events.error(TASK, "failed").why == "what it says may hold secrets, and is never shown"


def test_a_failure_that_is_ignored_is_not_told() -> None:
    events = host_ansible._Events()
    events.take(event("runner_on_failed", task="Try", ignore_errors=True, res={"msg": "no"}))
    assert events.error(TASK, "failed").what == "Ansible could not run the role"


def test_without_a_failing_task_what_ansible_printed_is_told() -> None:
    events = host_ansible._Events()
    events.take({"event": "error", "stdout": "ERROR! the playbook could not be found", "event_data": {}})
    assert events.error(TASK, "failed").why == "ERROR! the playbook could not be found"
    assert host_ansible._Events().error(TASK, "timeout").why == "Ansible ended as timeout"


def test_changes_are_counted() -> None:
    events = host_ansible._Events()
    assert events.take(event("playbook_on_stats", changed={"here": 3})) is False, "nothing is written to disk"
    assert events.changes == 3


@pytest.mark.parametrize("sudo", [None, "/bin/false"])
def test_without_root_the_error_says_what_is_needed(monkeypatch: pytest.MonkeyPatch, sudo: str | None) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(host_ansible.shutil, "which", lambda _: sudo)
    with pytest.raises(OperationError, match="needs root") as refused:
        host_ansible.converge(TASK)
    assert "as root" in (refused.value.fix or "")


def test_sudo_without_a_password_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(host_ansible.shutil, "which", lambda _: "/bin/true")
    host_ansible._require_root()
    assert host_ansible._inventory(TASK.host)["all"]["hosts"]["here"]["ansible_become"] is True


@pytest.fixture
def role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Ansible folder whose playbook says what it was given; returns the file that it says it in."""
    said = tmp_path / "said.json"
    playbook = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Say it",
                    "ansible.builtin.copy": {
                        "dest": str(said),
                        "mode": "0600",
                        "content": "{{ {'state': terrace_state, 'role': terrace_role, 'digest': terrace_digest,"
                        " 'data': terrace_delete_data | default(none), 'password': the_password} | to_json }}",
                    },
                    "no_log": True,
                },
                {
                    "name": "Fail if told so",
                    "ansible.builtin.fail": {"msg": "as told, with {{ the_password }}"},
                    "when": "terrace_instance == 'failing'",
                },
            ],
        }
    ]
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "role.yml").write_text(json.dumps(playbook))
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\ninterpreter_python = {sys.executable}\n")
    monkeypatch.setattr(host_ansible, "ANSIBLE", tmp_path)
    monkeypatch.setattr(host_ansible, "_require_root", lambda: None)
    monkeypatch.setattr(host_ansible.tempfile, "tempdir", str(tmp_path / "runs"))
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(host_ansible, "_inventory", lambda _: _local_inventory())
    return said


def _local_inventory() -> dict[str, Any]:
    variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    return {"all": {"hosts": {"here": variables}}}


def test_a_role_is_run_with_its_variables_and_leaves_no_trace(role: Path) -> None:
    odd = Task(TASK.host, "test", "tiny", "one", {"the_password": "{{ no template }} '\" $x"}, "d1")
    assert host_ansible.converge(odd) == 1
    said = json.loads(role.read_text())
    assert said == {
        "state": "present",
        "role": "tiny",
        "digest": "d1",
        "data": None,
        "password": "{{ no template }} '\" $x",
    }
    assert host_ansible.converge(odd) == 0
    assert list((role.parent / "runs").iterdir()) == []


def test_check_mode_changes_nothing(role: Path) -> None:
    assert host_ansible.check(TASK) == 1
    assert not role.exists()


def test_removal_is_told_about_the_data(role: Path) -> None:
    host_ansible.remove(TASK, delete_data=True)
    said = json.loads(role.read_text())
    assert (said["state"], said["data"]) == ("absent", True)


def test_a_failing_role_is_told_without_its_secrets(role: Path) -> None:
    failing = Task(TASK.host, "test", "tiny", "failing", TASK.variables, "d1")
    with pytest.raises(OperationError) as failed:
        host_ansible.converge(failing)
    assert failed.value.what == "could not «Fail if told so»"
    assert failed.value.why == "as told, with [secret]"
    assert list((role.parent / "runs").iterdir()) == []


def test_other_hosts_work_at_the_same_time_and_this_one_on_as_many_roles_as_it_has_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    together = threading.Barrier(host_ansible._CORES + 1)

    def meet(*_: object) -> None:
        together.wait(timeout=2)
        raise OperationError("all are at work")

    def errors(connection: str) -> set[type[BaseException] | None]:
        task = dataclasses.replace(TASK, host={"name": "one", "connection": connection})
        together.reset()
        with ThreadPoolExecutor() as pool:
            runs = [pool.submit(host_ansible.converge, task) for _ in range(together.parties)]
            return {type(run.exception()) for run in runs}

    monkeypatch.setattr(host_ansible, "_private_folder", meet)
    monkeypatch.setattr(host_ansible, "_require_root", lambda: None)
    assert errors("ssh") == {OperationError}
    assert errors("local") == {threading.BrokenBarrierError}


@pytest.mark.usefixtures("role")
def test_a_host_is_asked_anew_after_something_was_done_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(remote, "call", lambda host, _function, _environment: asked.append(host["name"]) or {})
    hosts = [{"name": name, "connection": "ssh"} for name in ("changed", "left")]
    remote_facts.forget()
    for _ in range(2):
        for host in hosts:
            host_ansible.look(host, "test")
    assert asked == ["changed", "left"], "once each, and no more until something happens"
    host_ansible.converge(dataclasses.replace(TASK, host=hosts[0]))
    for host in hosts:
        host_ansible.look(host, "test")
    assert asked == ["changed", "left", "changed"]
    remote_facts.forget()


def test_what_a_killed_run_left_behind_is_removed(role: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    left = role.parent / "runs" / f"terrace-run-{ended.pid}-x"
    left.mkdir()
    (left / "extravars").write_text("secret")
    alive = role.parent / "runs" / f"terrace-run-{os.getpid()}-x"
    alive.mkdir()
    host_ansible.converge(TASK)
    assert [folder.name for folder in (role.parent / "runs").iterdir()] == [alive.name]


def test_ansible_speaks_to_no_other_host_than_the_known_one(
    role: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ansible-runner would turn the check off, in an argument, which ssh puts before its configuration."""
    program, called = tmp_path / "bin" / "ssh", tmp_path / "called"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -G "$@" > {called}\n')  # as OpenSSH itself understands it
    program.chmod(0o755)
    monkeypatch.setattr(host_ansible, "_inventory", INVENTORY)
    monkeypatch.setattr(host_ansible, "_environment", lambda: {**ENVIRONMENT(), "ANSIBLE_SSH_EXECUTABLE": str(program)})
    away = {"name": "far", "connection": "ssh", "address": "10.1.0.2", "port": 22, "user": "root", "host_key": "x AAAA"}
    with pytest.raises(OperationError):
        host_ansible.converge(dataclasses.replace(TASK, host=away))
    effective = dict(line.split(" ", 1) for line in called.read_text().splitlines() if " " in line)
    assert effective["hostname"] == "10.1.0.2"
    assert effective["stricthostkeychecking"] in ("true", "yes")
    assert (effective["passwordauthentication"], effective["batchmode"]) == ("no", "yes")


KILLED = """
import sys
from pathlib import Path
from terrace import host_ansible
host_ansible.ANSIBLE = Path(sys.argv[1])
host_ansible._require_root = lambda: None
host_ansible.converge(host_ansible.Task({"name": "here", "connection": "local"}, "unit", "tiny", "one", {}, "d"))
"""
SLOW = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.shell: touch %s && sleep 600
"""


def test_ansible_ends_with_the_process_that_runs_it(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "role.yml").write_text(SLOW % begun)
    (tmp_path / "ansible.cfg").touch()
    up = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], cwd=Path(__file__).parents[2])
    wait_for(begun.exists, 60)
    ours = f"/{host_ansible.FOLDER_PREFIX}{up.pid}-".encode()

    def left() -> list[str]:
        return [file.parent.name for file in Path("/proc").glob("[0-9]*/cmdline") if ours in _content(file)]

    assert left()
    up.kill()
    up.wait()
    wait_for(lambda: not left(), 60)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it ended meanwhile
        return b""
