"""The audit log is told what came into production, each move once, whatever is away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from components.audit.programs.audit_log.events import parse
from components.serving.programs.model_sync import trail as program
from components.serving.programs.model_sync.history import Move
from components.serving.programs.model_sync.trail import Trail

LOG = "http://127.0.0.1:18190"
FIRST = Move("1", None, "2026-03-01T12:00:00+00:00", "flights", "pipeline")
SECOND = Move("2", "1", "2026-03-02T12:00:00+00:00", "ann", "promote")


class AuditLog:
    """An audit log that takes events, or doesn't."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[dict[str, Any]] = []
        self.shown: list[dict[str, str]] = []
        self.status = 200
        monkeypatch.setattr(program.requests, "post", self.post)

    def post(self, url: str, json: dict[str, Any], headers: dict[str, str], timeout: float) -> requests.Response:
        assert (url, timeout) == (f"{LOG}/events", program.SECONDS)
        self.shown.append(headers)
        if self.status == 0:
            raise requests.ConnectionError("refused")
        if self.status == 200:
            self.taken += json["events"]
        answer = requests.Response()
        answer.status_code = self.status
        return answer


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    """What is told."""
    return AuditLog(monkeypatch)


def test_each_move_is_told_once_also_by_the_next_process(log: AuditLog, tmp_path: Path) -> None:
    for _ in range(2):
        Trail(LOG, tmp_path / "told.json").tell({"delay": (FIRST,), "price": ()})
    Trail(LOG, tmp_path / "told.json").tell({"delay": (FIRST, SECOND), "price": (FIRST,)})
    assert [(each["actor"], each["object"]) for each in map(vars, map(parse, log.taken))] == [
        ("flights", "serving: delay version 1"),
        ("ann", "serving: delay version 2"),
        ("flights", "serving: price version 1"),
    ]
    assert log.taken[1]["detail"] == "by promote, in place of version 1"


@pytest.mark.parametrize("status", [0, 403, 503])
def test_what_nobody_takes_is_told_the_next_time(log: AuditLog, tmp_path: Path, status: int) -> None:
    trail = Trail(LOG, tmp_path / "told.json")
    log.status = status
    trail.tell({"delay": (FIRST,)})
    log.status = 200
    trail.tell({"delay": (FIRST,)})
    assert len(log.taken) == 1


def test_the_same_move_has_the_same_id(log: AuditLog, tmp_path: Path) -> None:
    for name in ("one", "two"):
        Trail(LOG, tmp_path / name).tell({"delay": (FIRST,)})
    assert log.taken[0]["id"] == log.taken[1]["id"]


def test_a_log_that_asks_for_a_token_is_shown_it(log: AuditLog, tmp_path: Path) -> None:
    for name, token in (("one", "mlserver:5ea1"), ("two", "")):
        Trail(LOG, tmp_path / name, token).tell({"delay": (FIRST,)})
    assert log.shown == [{"Authorization": "Bearer mlserver:5ea1"}, {}]


def test_without_an_audit_log_nobody_is_told(log: AuditLog, tmp_path: Path) -> None:
    Trail("", tmp_path / "told.json").tell({"delay": (FIRST,)})
    assert log.taken == []
