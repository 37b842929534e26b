"""When a backup is due, and what the metrics say of it."""

from __future__ import annotations

import datetime
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from components.backup.programs.backup_agent import job, service
from components.backup.programs.backup_agent.errors import AgentError
from components.backup.programs.backup_agent.records import Records
from tests.components.backup_world import World

NEVER: dict[str, Any] = {"started": None, "ended": None, "succeeded": None, "error": "", "backups": {}}


def _at(text: str) -> float:
    return datetime.datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("attempts", "now", "expected"),
    [
        (NEVER, "2026-03-02T12:00", True),
        ({"started": "2026-03-02T02:30", "ended": "2026-03-02T02:31"}, "2026-03-02T23:59", False),
        ({"started": "2026-03-02T02:30", "ended": "2026-03-02T02:31"}, "2026-03-03T02:29", False),
        ({"started": "2026-03-02T02:30", "ended": "2026-03-02T02:31"}, "2026-03-03T02:30", True),
        ({"started": "2026-03-02T14:00", "ended": "2026-03-02T14:01"}, "2026-03-03T02:30", True),
        ({"started": "2026-02-20T02:30", "ended": "2026-02-20T02:31"}, "2026-03-03T11:00", True),
        ({"started": "2026-03-02T02:30", "ended": "2026-03-02T02:31", "error": "x"}, "2026-03-02T02:35", False),
        ({"started": "2026-03-02T02:30", "ended": "2026-03-02T02:31", "error": "x"}, "2026-03-02T02:40", True),
        ({"started": "2026-03-02T02:30", "ended": None}, "2026-03-02T02:35", False),
        ({"started": "2026-03-02T02:30", "ended": None}, "2026-03-02T02:45", True),
        ({"started": "2026-03-02T08:30", "ended": "2026-03-02T08:31"}, "2026-03-02T02:45", True),  # the clock was ahead
        ({"started": "2026-03-02T02:45:30", "ended": "2026-03-02T02:46"}, "2026-03-02T02:45", False),
    ],
)
def test_when_it_is_time(attempts: dict[str, Any], now: str, expected: bool) -> None:
    times = {name: _at(value) if isinstance(value, str) and "T" in value else value for name, value in attempts.items()}
    assert service.due(NEVER | times, _at(now), "02:30") is expected


def test_nothing_is_claimed_before_the_first_backup() -> None:
    assert service.page(NEVER) == ""


def test_a_failure_is_shown_beside_the_last_success() -> None:
    last = {"bytes": 5, "added_bytes": 3, "seconds": 1.5}
    good = NEVER | {"started": 10, "ended": 20, "succeeded": 20, "backups": {"a": last}, "size": 7}
    assert "terrace_backup_last_run_succeeded 1\n" in service.page(good)
    page = service.page(good | {"ended": 30, "error": "the disk is full"})
    assert "terrace_backup_last_run_succeeded 0\n" in page
    assert "terrace_backup_last_success_timestamp_seconds 20\n" in page
    for line in ("duration_seconds 1.5", "size_bytes 5", "repository_bytes 7", "kept 1"):
        assert f"terrace_backup_{line}\n" in page


def test_a_success_of_which_nothing_is_known_leaves_out_what_lacks() -> None:
    page = service.page(NEVER | {"started": 10, "ended": 20, "succeeded": 20, "size": 7})
    assert "terrace_backup_kept 0\n" in page
    assert "size_bytes 0" not in page
    assert "duration_seconds" not in page


def test_one_that_failed_at_first_is_shown_without_a_success() -> None:
    page = service.page(NEVER | {"started": 1, "ended": 2, "error": "x"})
    assert "last_run_succeeded 0" in page
    assert "last_success" not in page


def test_the_log_tells_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path, monkeypatch)
    caplog.set_level("INFO")
    service.back_up_once(world.settings)
    assert "backup failed: the backup repository was never made" in caplog.text
    job.initialise(world.settings)
    service.back_up_once(world.settings)
    assert "database mlflow" in caplog.text
    assert caplog.messages[-1].startswith("backup 000001ab took")


class _Stopped(Exception):
    """Ends the service's loop."""


def test_it_backs_up_when_due_and_serves_its_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path, monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = world.other_settings(port=port)
    job.initialise(settings)
    pages: list[str] = []

    def look(_seconds: float) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            pages.append(answer.read().decode())
        with pytest.raises(urllib.error.HTTPError, match="404") as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/other", timeout=30)
        refused.value.close()
        if len(pages) == 2:
            raise _Stopped

    monkeypatch.setattr(service.time, "sleep", look)
    made = service.ThreadingHTTPServer
    servers: list[Any] = []
    monkeypatch.setattr(service, "ThreadingHTTPServer", lambda *a: servers.append(made(*a)) or servers[0])
    try:
        with pytest.raises(_Stopped):
            service.serve(settings)
    finally:
        servers[0].shutdown()
        servers[0].server_close()
    assert "terrace_backup_last_run_succeeded 1" in pages[0]
    assert "terrace_backup_kept 1\n" in pages[1], "a second one is not due yet"
    assert threading.active_count() >= 1


def test_records_survive_an_attempt_that_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(World(tmp_path, monkeypatch).settings)
    records.start()
    assert records.attempts()["ended"] is None
    with pytest.raises(AgentError), records.alone():
        raise AgentError("killed")
    with records.alone():
        pass
