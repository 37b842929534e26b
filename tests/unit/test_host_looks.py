"""What a host says of itself: what is converged on it, and what runs."""

from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from terrace import host_facts, remote_facts
from terrace.host_ansible import Task, is_converged, is_up

TASK = Task({"name": "here", "connection": "local"}, "test", "tiny", "one", {}, "d1")


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
