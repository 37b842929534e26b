"""The cleanup of MLflow: when it's time, what the audit log and Prometheus are told, and what is planned."""

from __future__ import annotations

import datetime
import http.client
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from components.audit.programs.audit_log.events import parse
from components.tracking.programs.mlflow_cleanup import __main__ as schedule
from components.tracking.programs.mlflow_cleanup import telling
from components.tracking.programs.mlflow_cleanup.cleaning import clean
from components.tracking.programs.mlflow_cleanup.page import Page
from components.tracking.programs.mlflow_cleanup.records import EMPTY, Records
from tests.components.cleanup_world import IDS, Played, make_records
from tests.components.recording import blueprint, plan


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return make_records(tmp_path / "cleanup")


@pytest.mark.parametrize(
    ("state", "now", "expected"),
    [
        ({}, "2026-03-02T12:00", True),
        ({"started": "2026-03-02T05:30", "ended": "2026-03-02T05:31"}, "2026-03-03T05:29", False),
        ({"started": "2026-03-02T05:30", "ended": "2026-03-02T05:31"}, "2026-03-03T05:30", True),
        ({"started": "2026-03-02T05:30", "ended": "2026-03-02T05:31", "error": "x"}, "2026-03-02T06:29", False),
        ({"started": "2026-03-02T05:30", "ended": "2026-03-02T05:31", "error": "x"}, "2026-03-02T06:30", True),
        ({"started": "2026-03-02T05:30", "ended": None}, "2026-03-02T06:30", True),
        ({"started": "2026-03-02T05:31", "ended": "2026-03-02T05:32"}, "2026-03-02T05:30:30", False),  # corrected
        ({"started": "2031-03-02T05:30", "ended": "2031-03-02T05:31"}, "2026-03-02T05:29", True),  # set back
    ],
)
def test_when_it_is_time(state: dict[str, Any], now: str, expected: bool) -> None:
    def moment(text: str) -> float:
        return datetime.datetime.fromisoformat(text).timestamp()

    times = {name: moment(value) if name != "error" and value else value for name, value in state.items()}
    assert schedule.due(EMPTY | times, moment(now), "05:30") is expected


@pytest.mark.parametrize(
    ("code", "failed", "error"),
    [(0, 0, ""), (0, 2, "2 could not be removed"), (3, 0, "the cleaning ended with 3")],
)
def test_how_it_ended_is_noted(records: Records, code: int, failed: int, error: str) -> None:
    records.note(failed=failed)
    schedule.clean(records, (sys.executable, "-c", f"raise SystemExit({code})"))
    state = records.state()
    assert state["error"] == error
    assert (state["succeeded"] is not None) is (error == "")
    assert state["started"] <= state["ended"]


class Answer:
    """An audit log's answer."""

    status = 200


class Log:
    """An audit log that takes events, or doesn't."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken: list[Any] = []
        self.status = 200
        monkeypatch.setattr(http.client.HTTPConnection, "request", self.request)
        monkeypatch.setattr(http.client.HTTPConnection, "getresponse", lambda _self: self.answer())

    def request(self, method: str, path: str, body: str, headers: dict[str, str]) -> None:
        if self.status == 0:
            raise ConnectionRefusedError
        if self.status == 200:
            self.taken += json.loads(body)["events"]

    def answer(self) -> Answer:
        answer = Answer()
        answer.status = self.status
        return answer


@pytest.mark.parametrize("status", [0, 403, 503])
def test_what_nobody_takes_is_told_later(records: Records, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    log = Log(monkeypatch)
    monkeypatch.setattr(telling, "AT_ONCE", 2)
    clean(Played("a", "b", "c"), records, 30)
    log.status = status
    telling.tell(records, 18190)
    assert (len(log.taken), len(records.untold())) == (0, 3)
    log.status = 200
    telling.tell(records, 18190)
    telling.tell(records, 18190)
    assert [parse(each).object for each in log.taken] == [f"tracking: run {id_}" for id_ in IDS.values()]
    assert records.untold() == []


def test_without_an_audit_log_nothing_waits_for_it(records: Records) -> None:
    clean(Played("a"), records, 30)
    telling.tell(records, None)
    assert records.untold() == []


def test_half_an_event_of_a_power_cut_is_none(records: Records, tmp_path: Path) -> None:
    clean(Played("a"), records, 30)
    with (tmp_path / "cleanup" / "untold.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"id": "12')
    assert len(records.untold()) == 1


def test_the_numbers_on_the_page(records: Records) -> None:
    registry = CollectorRegistry()
    registry.register(Page(records))
    assert generate_latest(registry) == b"", "nothing is claimed before the first"
    clean(Played("a", "b"), records, 30)
    schedule.clean(records, (sys.executable, "-c", ""))
    lines = dict(line.rsplit(" ", 1) for line in generate_latest(registry).decode().splitlines() if line[0] != "#")
    assert float(lines.pop("terrace_cleanup_last_success_timestamp_seconds")) == records.state()["succeeded"]
    assert {name.removeprefix("terrace_cleanup_"): float(value) for name, value in lines.items()} == {
        "last_run_succeeded": 1,
        "failed": 0,
        "held": 0,
        "waiting": 0,
        'removed_total{kind="model"}': 0,
        'removed_total{kind="run"}': 2,
        'removed_total{kind="experiment"}': 0,
        "freed_bytes_total": 200,
    }
    schedule.clean(records, (sys.executable, "-c", "raise SystemExit(1)"))
    assert b"terrace_cleanup_last_run_succeeded 0.0" in generate_latest(registry)


@pytest.mark.parametrize(("tier", "days"), [(1, 30), (3, 30), (3, 0)])
def test_what_is_planned(tmp_path: Path, tier: int, days: int) -> None:
    wanted = blueprint(tier, tmp_path)
    slots = {**wanted.slots, "tracking": wanted.slots["tracking"].model_copy(update={"keep_deleted_days": days})}
    object.__setattr__(wanted, "slots", slots)
    variables = {
        each.inputs["instance"]: json.loads(each.inputs["variables"])
        for each in plan(wanted)
        if each.inputs.get("role") == "service"
    }
    mlflow = variables["mlflow"]
    processes = {each["name"]: each["command"] for each in mlflow["service_processes"]}
    environment = mlflow["service_environment"]
    assert ("cleanup" in processes) is (days > 0)
    assert (len(processes["metrics"]) == 5) is (days > 0), "its records are on the page"
    assert environment.get("CLEANUP_KEEP_DAYS") == (str(days) if days else None)
    assert ("CLEANUP_AUDIT_PORT" in environment) is (tier == 3 and days > 0)
    if tier == 3:
        assert "mlflow" in variables["audit"]["service_environment"]["AUDIT_SOURCES"].split(",")
