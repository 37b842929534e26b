"""Running a role: what Ansible is given, and what is made of what it says."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from terrace import host_ansible, host_facts, remote_facts
from terrace.errors import OperationError
from terrace.host_ansible import Task, is_converged, is_up, literal
from tests.host.machine import wait_for

TASK = Task({"name": "here", "connection": "local"}, "test", "tiny", "one", {"the_password": "s3cret-pa55word"}, "d1")


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


def test_a_role_is_converged_where_the_host_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_facts, "MANIFESTS", tmp_path)
    mark = tmp_path / "test" / "manifest.d" / "tiny-one.converged"
    assert not is_converged(TASK)
    mark.parent.mkdir(parents=True)
    mark.write_text("")
    assert not is_converged(TASK), "its last run was cut short"
    mark.write_text("d1")
    assert is_converged(TASK)


def _service(**variables: Any) -> Task:
    return dataclasses.replace(TASK, host={"name": "here", "connection": "local"}, variables=variables)


def test_a_service_is_up_where_its_probe_has_a_listener() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        assert not is_up(_service(service_probe={"port": port}))
        listener.listen()
        assert is_up(_service(service_probe={"port": port}))
    assert is_up(_service(service_probe={}))
    assert is_up(_service())


def test_another_host_is_asked_for_what_it_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    away = dataclasses.replace(_service(service_probe={"port": 80}), host={"name": "away", "connection": "ssh"})
    facts: dict[str, Any] = {"marks": {"tiny-one": "d1"}, "ports": [80], "supervised": False, "expired": []}
    monkeypatch.setattr(remote_facts, "of", lambda host, _environment: facts if host["name"] == "away" else {})
    assert is_converged(away)
    assert is_up(away)
    assert not is_up(dataclasses.replace(away, role="base"))
    facts |= {"marks": {}, "ports": []}
    assert not is_converged(away), "as on a machine that was made anew"
    assert not is_up(away)


def test_what_only_the_links_listen_on_is_not_up() -> None:
    assert not host_facts._is_apart("0100007F")
    assert not host_facts._is_apart("00000000")
    assert not host_facts._is_apart("0" * 32)
    assert host_facts._is_apart("0B4DE70A"), "10.231.77.11"


def test_the_supervisor_is_up_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_facts, "SUPERVISORS", tmp_path)
    monkeypatch.setattr(host_facts, "SYSTEMD", tmp_path / "systemd")
    base = dataclasses.replace(_service(), role="base")
    assert not is_up(base), "as after a reboot"
    pid_file = tmp_path / base.environment / "supervisord.pid"
    pid_file.parent.mkdir()
    pid_file.write_text(f"{os.getpid()}\n")
    assert is_up(base)
    pid_file.write_text("4194305\n")  # more than any process has
    assert not is_up(base), "as after a kill"
    (tmp_path / "systemd").mkdir()
    assert is_up(base), "systemd needs none"


def test_a_mark_that_may_not_be_read_is_no_reason_to_converge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError

    monkeypatch.setattr(host_facts, "MANIFESTS", tmp_path)
    monkeypatch.setattr(host_facts, "DATA", tmp_path)
    (tmp_path / "test" / "manifest.d").mkdir(parents=True)
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert is_converged(TASK)


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
    - ansible.builtin.command: {argv: [touch, %s]}
    - ansible.builtin.command: {argv: [sleep, "60"]}
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
    wait_for(lambda: not left(), 30)


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it ended meanwhile
        return b""
