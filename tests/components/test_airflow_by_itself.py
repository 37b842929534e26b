"""Pipelines before Airflow where it does things by itself, or doesn't do what it is asked for."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from components.pipelines.programs.airflow_intake import engine, watch
from components.pipelines.programs.airflow_intake.names import run_id
from terrace.pipelines import PipelinesError
from tests.components.played_airflow import DagRun, Intake
from tests.components.timer_server import project, wait_for


def test_a_run_that_airflow_began_by_itself_is_followed(intake: Intake, tmp_path: Path) -> None:
    intake.client.put("each-hour", project(tmp_path / "p", "each-hour", {"name": "a", "command": ["true"]}))
    intake.airflow.begin("each-hour", "scheduled__2026-11-24T13:00:00+00:00", "scheduled")
    wait_for(lambda: any(run.ended for run in intake.client.runs("each-hour")))
    (run,) = intake.client.runs("each-hour")
    assert (run.id, run.trigger) == ("each-hour-scheduled-2026-11-24t13-00-00-00-00", "schedule")
    assert run.state == "succeeded"
    assert intake.metric('terrace_pipeline_last_scheduled_run_succeeded{pipeline="each-hour"}') == 1


@pytest.mark.parametrize(
    ("paused", "error"),
    [
        (True, "Its pipeline was paused in Airflow until its time was over"),
        (False, "Airflow did not end it in its time"),
    ],
)
def test_a_run_that_airflow_never_ends_is_given_up(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paused: bool, error: str
) -> None:
    monkeypatch.setattr(engine, "GIVEN_UP_AFTER_SECONDS", 0)
    intake.client.put("held", project(tmp_path / "p", "held", {"name": "a", "command": ["true"]}, timeout=1))
    intake.airflow.paused = paused
    held = DagRun("held", "by-hand", "manual", "running", states={"a": None})
    held.stop = lambda: setattr(held, "state", "failed")
    intake.airflow.runs["held", "by-hand"] = held
    wait_for(lambda: any(run.ended for run in intake.client.runs("held")))
    (run,) = intake.client.runs("held")
    assert (run.state, run.error, held.state) == ("lost", error, "failed")


def test_a_run_that_waits_in_airflow_keeps_no_other_from_running(intake: Intake, tmp_path: Path) -> None:
    intake.client.put("waits", project(tmp_path / "p", "waits", {"name": "a", "command": ["true"]}))
    intake.airflow.runs["waits", "by-hand"] = DagRun("waits", "by-hand", "manual", "queued")
    intake.airflow.begin("waits", "another")
    wait_for(lambda: any(run.ended for run in intake.client.runs("waits")))
    assert intake.client.wait(intake.client.start("waits").id, poll_seconds=0.05).state == "succeeded"
    assert len(intake.client.runs("waits")) == 2


def test_a_run_that_can_not_be_taken_over_keeps_no_other_from_it(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    intake.client.put("some", project(tmp_path / "p", "some", {"name": "a", "command": ["true"]}))
    monkeypatch.setattr(watch.names, "run_id", lambda _, given: "x" * 300 if given == "bad" else given)
    intake.airflow.runs["some", "bad"] = DagRun("some", "bad", "manual", "success")
    intake.airflow.runs["some", "good"] = DagRun("some", "good", "manual", "success")
    wait_for(lambda: [run.id for run in intake.client.runs("some") if run.ended] == ["good"])


def test_a_pipeline_that_airflow_does_not_let_go_runs_on(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "READS_WITHIN_SECONDS", 0.2)
    intake.client.put("stays", project(tmp_path / "p", "stays", {"name": "a", "command": ["true"]}))
    intake.airflow.stuck = True
    with pytest.raises(PipelinesError, match="can't be removed now"):
        intake.client.delete("stays")
    assert intake.client.wait(intake.client.start("stays").id, poll_seconds=0.05).state == "succeeded"


def test_no_run_begins_while_its_pipeline_is_being_removed(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "READS_WITHIN_SECONDS", 1.0)
    intake.client.put("goes", project(tmp_path / "p", "goes", {"name": "a", "command": ["true"]}))
    intake.airflow.stuck = True
    with ThreadPoolExecutor() as pool:
        removal = pool.submit(intake.client.delete, "goes")
        wait_for(lambda: not (intake.airflow.dags / "goes.py").exists())
        with pytest.raises(PipelinesError, match="is being removed"):
            intake.client.start("goes")
        intake.airflow.stuck = False
        removal.result()
    assert intake.client.pipelines() == []


def test_a_run_that_airflow_has_just_begun_keeps_its_bundle(
    intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = project(tmp_path / "p", "hourly", {"name": "a", "command": ["sleep", "2"]})
    intake.client.put("hourly", older)
    monkeypatch.setattr(watch, "LOOK_SECONDS", 3600)
    time.sleep(0.3)  # the look that was under way
    begun = intake.airflow.begin("hourly", "scheduled__2026-11-24T13:00:00+00:00", "scheduled")
    wait_for(lambda: begun.state == "running")
    with pytest.raises(PipelinesError, match="is running"):
        intake.client.delete("hourly")
    intake.client.put("hourly", project(tmp_path / "p", "hourly", {"name": "a", "command": ["true"]}))
    (run,) = intake.client.runs("hourly")
    assert (run.digest, run.state) == (older.digest, "running")
    assert older.digest in (intake.airflow.dags / "hourly.py").read_text()
    assert intake.client.wait(run.id, poll_seconds=0.05).state == "succeeded"


def test_without_airflow_a_pipeline_is_not_changed(intake: Intake, tmp_path: Path) -> None:
    older = project(tmp_path / "p", "known", {"name": "a", "command": ["true"]})
    intake.client.put("known", older)
    intake.airflow.close()
    assert intake.client.put("known", older) is False
    with pytest.raises(PipelinesError, match="Pipeline 'known' can't be changed now"):
        intake.client.put("known", project(tmp_path / "p", "known", {"name": "b", "command": ["true"]}))
    assert intake.client.pipelines()[0].digest == older.digest


def test_no_two_runs_have_one_id() -> None:
    pairs = [("a", "b-x"), ("a-b", "x"), ("a", "b_x"), ("a", "a-b-x"), ("a", "y" * 200), ("a", "y" * 201)]
    ids = {run_id(*pair) for pair in pairs}
    assert len(ids) == len(pairs)
    assert all(re.fullmatch(r"[a-z][a-z0-9-]*", each) for each in ids)
