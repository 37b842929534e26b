"""`terrace backup` and `terrace restore` on several hosts: what is said of each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from terrace import backup
from terrace.cli import application, operations
from terrace.engine.model import ResourceError
from tests.unit.played import Recorded, result

ABOUT = {"flavor": "restic", "url": "", "probe_url": "", "probe_port": 1}
OUTPUTS = {
    "hosts": [{"name": "store", "connection": "local"}, {"name": "front", "connection": "ssh"}],
    "services": [
        {"slot": "backup", "name": "backup", "host": "store", **ABOUT},
        {"slot": "backup", "name": "host-backup-front", "host": "front", **ABOUT},
    ],
}
TIME = "2026-03-01T02:30:00.5Z"
ANSWERS: dict[str, dict[str, Any]] = {
    "backup": {"id": "a1", "repository": "/mnt/r", "bytes": 2048, "added_bytes": 1024, "seconds": 2.0},
    "list": {"backups": [{"id": "a1", "time": TIME, "bytes": None, "seconds": None}]},
    "plan": {
        "id": "a1",
        "time": TIME,
        "repository": "/mnt/r",
        "environment": "local",
        "folders": ["/var/lib/x"],
        "kept": [],
        "left_out": [],
    },
}


@pytest.fixture(autouse=True)
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment ``local`` that is up on two hosts, in the working folder; their agents answer with ``ANSWERS``."""
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: shop\nruntime: python\nmain: stacks\nstackConfigDir: stacks\nbackend: {{url: 'file://{tmp_path}'}}\n"
    )
    (tmp_path / "stacks").mkdir()
    text = "config:\n  terrace:tier: 2\n  terrace:target: host\n"
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setattr(operations, "_stack", lambda *_arguments: Recorded(result(), shown=OUTPUTS))

    def call(agent: backup.Agent, command: str, *_rest: object) -> dict[str, Any]:
        databases = {"databases": ["mlflow"] if agent.service == "backup" else []} if command == "plan" else {}
        return {**ANSWERS[command], **databases}

    monkeypatch.setattr(backup.Agent, "_call", call)


def _said(*words: str, code: int = 0) -> str:
    shown = CliRunner().invoke(application(), [*words])
    assert shown.exit_code == code, shown.output
    return shown.output


def test_the_backup_of_each_host_is_said() -> None:
    said = _said("backup", "local")
    assert "store: backup a1 in /mnt/r: 2.0 KiB, of which 1.0 KiB are new; 2.0 s" in said
    assert "front: backup a1" in said
    assert "store: " not in _said("backup", "local", "--host", "front")


def test_a_list_says_whose_each_is() -> None:
    assert [line.split()[-1] for line in _said("backup", "local", "--list").splitlines()] == ["store", "front"]


def test_a_restore_says_of_each_host_what_it_would_replace() -> None:
    said = _said("restore", "local", code=2)  # there is nobody to ask
    assert "store: backup a1 of local, made 2026-03-01T02:30:00, in /mnt/r\n  replaces the databases mlflow\n" in said
    assert "front: backup a1 of local, made 2026-03-01T02:30:00, in /mnt/r\n  replaces /var/lib/x\n" in said


def test_a_restore_that_a_rule_refuses_afterwards_is_refused_before(monkeypatch: pytest.MonkeyPatch) -> None:
    stack = Recorded(result(ok=False, errors=(ResourceError("", "M18 the waiver has ended"),)), shown=OUTPUTS)
    monkeypatch.setattr(operations, "_stack", lambda *_arguments: stack)
    restored: list[object] = []
    monkeypatch.setattr(backup.Backups, "restore", lambda *arguments: restored.append(arguments))
    assert "M18 the waiver has ended" in _said("restore", "local", "--yes", code=1)
    assert restored == []


def test_the_databases_are_not_brought_back_apart_from_the_services_that_use_them() -> None:
    said = _said("restore", "local", "--host", "store", "--yes", code=2)
    assert "store has the databases, which services of other hosts use" in said


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ("keeper@backup.example.org:/srv/backups", "keeper@backup.example.org:/srv/backups"),
        ("/mnt/backups", "/mnt/backups"),
        ("backups", "{here}/backups"),
        ("./keeper@here:/backups", "{here}/keeper@here:/backups"),
    ],
)
def test_a_place_is_a_folder_here_or_one_of_another_machine(
    named: str, asked: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[backup.Request] = []

    def plan(_backups: backup.Backups, request: backup.Request) -> dict[str, Any]:
        requests.append(request)
        return {**ANSWERS["plan"], "databases": [], "others": []}

    monkeypatch.setattr(backup.Backups, "plan", plan)
    _said("restore", "local", "--from", named, code=2)
    assert [request.place for request in requests] == [asked.format(here=tmp_path)]
