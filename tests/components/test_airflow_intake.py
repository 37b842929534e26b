"""The contract of pipelines with Airflow behind it, which is played: see tests/components/played_airflow.py."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from components.pipelines.airflow import INTAKE
from components.pipelines.parts.service import shipped
from components.pipelines.programs.airflow_intake import engine
from components.pipelines.programs.airflow_intake.names import cron_text, run_id
from components.pipelines.programs.airflow_intake.scheduler import bounded, wait_for_answer
from components.pipelines.programs.airflow_intake.steps import StepFailed, Task, carry_out, note_of
from components.pipelines.programs.contract.records import Run, now
from components.pipelines.programs.timer.scheduling import cron_trigger
from terrace.pipelines import PipelinesError
from tests.components.played_airflow import Intake
from tests.components.timer_server import SECRET, free_port, project, python, run_once, wait_for

RETRIED = (
    "import os, pathlib, sys; mark = pathlib.Path(os.environ['PIPELINE_RUN_DIR'], 'mark');"
    "done = mark.exists(); mark.touch(); print('again' if done else 'first'); sys.exit(0 if done else 3)"
)


def test_a_run_is_airflows_and_looks_like_any_other(intake: Intake, tmp_path: Path) -> None:
    show = "import os; print(os.environ['STORE_PASSWORD'], os.environ['PIPELINE_RUN_ID'], 'me@example.org')"
    run = run_once(
        intake,
        tmp_path / "p",
        "both",
        {"name": "a", "command": python(RETRIED), "retries": 2},
        {"name": "b", "command": python(show)},
        schedule="0 * * * *",
    )
    assert run.state == "succeeded"
    assert [(step.name, step.state, step.attempts, step.exit_code) for step in run.steps] == [
        ("a", "succeeded", 2, 0),
        ("b", "succeeded", 1, 0),
    ]
    assert intake.log(run, "a") == "first\n[pipelines] ended with exit code 3\nagain\n"
    assert intake.log(run, "b") == f"*** {run.id} [e-mail address]\n"
    assert SECRET not in intake.log(run, "b")
    assert intake.metric('terrace_pipeline_last_run_succeeded{pipeline="both"}') == 1
    assert intake.metric('terrace_pipeline_step_attempts_total{pipeline="both",step="a"}') == 2
    wait_for(lambda: intake.client.pipelines()[0].next_run is not None)


def test_a_failed_step_ends_the_run_and_says_why(intake: Intake, tmp_path: Path) -> None:
    failing = {"name": "a", "command": python("import sys; print('oh no'); sys.exit(3)")}
    run = run_once(intake, tmp_path / "p", "fails", failing, {"name": "b", "command": ["true"]})
    assert (run.state, run.error) == ("failed", "Step a ended with exit code 3")
    assert [(step.state, step.exit_code) for step in run.steps] == [("failed", 3), ("skipped", None)]
    missing = run_once(intake, tmp_path / "p", "missing", {"name": "a", "command": ["/no/such/program"]})
    assert (missing.state, missing.error) == ("failed", "Step a ended with exit code 127")


def test_a_step_or_run_that_takes_too_long_is_ended(intake: Intake, tmp_path: Path) -> None:
    step = run_once(intake, tmp_path / "p", "slow", {"name": "a", "command": ["sleep", "60"], "timeout": 1})
    assert step.error == "Step a took longer than 1 s and was ended"
    whole = {"name": "a", "command": ["sleep", "60"], "retries": 3}
    run = run_once(intake, tmp_path / "q", "slower", whole, timeout=3)
    assert (run.state, run.error, run.steps[0].attempts) == ("failed", "The run took longer than 3 s", 1)


def test_a_cancelled_run_ends_with_all_that_it_started(intake: Intake, tmp_path: Path) -> None:
    sleeping = {"name": "a", "command": ["sh", "-c", "sleep 345 & sleep 345"]}
    intake.client.put("long", project(tmp_path / "p", "long", sleeping))
    started = intake.client.start("long")
    wait_for(lambda: intake.client.run(started.id).steps[0].state == "running")
    with pytest.raises(PipelinesError, match="is running"):
        intake.client.start("long")
    intake.client.cancel(started.id)
    run = intake.client.wait(started.id, poll_seconds=0.05)
    assert (run.state, run.steps[0].state) == ("cancelled", "cancelled")
    assert _processes_of(run.id) == []


def _processes_of(run: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"PIPELINE_RUN_ID={run}".encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_a_run_goes_on_while_the_service_is_away(intake: Intake, tmp_path: Path) -> None:
    intake.client.put("on", project(tmp_path / "p", "on", {"name": "a", "command": ["sleep", "2"]}))
    started = intake.client.start("on")
    wait_for(lambda: intake.client.run(started.id).steps[0].state == "running")
    intake.stop()
    intake.start()
    assert intake.client.wait(started.id, poll_seconds=0.05).state == "succeeded"


def test_a_bundle_that_comes_during_a_run_waits_for_its_end(intake: Intake, tmp_path: Path) -> None:
    intake.client.put("twice", project(tmp_path / "p", "twice", {"name": "a", "command": ["sleep", "2"]}))
    started = intake.client.start("twice")
    wait_for(lambda: intake.client.run(started.id).steps[0].state == "running")
    dag = intake.airflow.dags / "twice.py"
    assert started.digest in dag.read_text()
    newer = project(tmp_path / "p", "twice", {"name": "a", "command": ["true"]})
    intake.client.put("twice", newer)
    assert started.digest in dag.read_text()
    assert intake.client.wait(started.id, poll_seconds=0.05).state == "succeeded"
    wait_for(lambda: newer.digest in dag.read_text())


def test_only_the_last_runs_are_kept_there_too(intake: Intake, tmp_path: Path) -> None:
    intake.stop()
    intake.settings["PIPELINES_KEEP_RUNS"] = "1"
    intake.start()
    for _ in range(2):
        run = run_once(intake, tmp_path / "p", "kept", {"name": "a", "command": ["true"]})
    wait_for(lambda: [each.id for each in intake.client.runs("kept")] == [run.id])
    assert list(intake.airflow.runs) == [("kept", run.id)]


def test_a_removed_pipeline_is_gone_from_airflow(intake: Intake, tmp_path: Path) -> None:
    run_once(intake, tmp_path / "p", "gone", {"name": "a", "command": ["true"]})
    intake.client.delete("gone")
    assert intake.client.pipelines() == []
    assert (list(intake.airflow.dags.iterdir()), intake.airflow.runs) == ([], {})


@pytest.mark.parametrize(
    ("pipeline", "change", "error"),
    [
        ("paused", {"paused": True}, "Pipeline 'paused' is paused in Airflow"),
        ("broken", {"reads": False}, "Airflow does not take the pipeline: ValueError: it is broken"),
        ("unread", {"reads": False}, "Airflow does not take the pipeline: it has not read it in time"),
    ],
)
def test_a_pipeline_that_airflow_does_not_run_is_told(
    intake: Intake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    pipeline: str,
    change: dict[str, bool],
    error: str,
) -> None:
    monkeypatch.setattr(engine, "READS_WITHIN_SECONDS", 0.2)
    vars(intake.airflow).update(change)
    run = run_once(intake, tmp_path / "p", pipeline, {"name": "a", "command": ["true"]})
    assert (run.state, run.error) == ("failed", error)


def test_a_run_that_airflow_forgot_is_lost(intake: Intake, tmp_path: Path) -> None:
    intake.client.put("lost", project(tmp_path / "p", "lost", {"name": "a", "command": ["sleep", "2"]}))
    started = intake.client.start("lost")
    wait_for(lambda: intake.client.run(started.id).steps[0].state == "running")
    intake.airflow.runs.clear()
    run = intake.client.wait(started.id, poll_seconds=0.05)
    assert (run.state, run.error) == ("lost", "Airflow no longer knows the run")


def test_whatever_happens_a_run_has_an_end(intake: Intake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("an answer without what is looked for")

    monkeypatch.setattr(engine, "take_over", broken)
    run = run_once(intake, tmp_path / "p", "odd", {"name": "a", "command": ["true"]})
    assert (run.state, run.error[:27]) == ("lost", "The run can't be followed: ")


def test_an_environment_is_made_before_the_steps(intake: Intake, tmp_path: Path) -> None:
    intake.stop()
    uv = tmp_path / "uv"
    uv.write_text("#!/bin/sh\necho made; [ ! -e broken ] && mkdir -p .venv\n")
    uv.chmod(0o700)
    intake.settings["PIPELINES_UV"] = str(uv)
    intake.start()
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "uv.lock").touch()
    step = {"name": "a", "command": ["true"]}
    for _ in range(2):
        run = run_once(intake, tmp_path / "p", "locked", step)
        assert run.state == "succeeded"
    assert intake.log(run, None) == "", "an environment is made once"
    (tmp_path / "p" / "broken").touch()
    failed = run_once(intake, tmp_path / "p", "locked", step)
    assert failed.error == "Its environment can't be made: uv sync ended with exit code 1"
    assert (failed.state, failed.steps[0].state) == ("failed", "skipped")


def test_an_ill_airflow_makes_the_service_ill(intake: Intake) -> None:
    intake.airflow.health["scheduler"] = {"status": "unhealthy"}

    def told() -> bool:
        try:
            return not intake.get("/health")
        except urllib.error.HTTPError as error:
            with error:
                said: str = json.loads(error.read())["status"]
            return (error.code, said) == (503, "Airflow says that this is not healthy: scheduler")

    wait_for(told)
    assert json.loads(intake.get("/alive")) == {"status": "ok"}, "the service itself needn't be started anew"
    intake.airflow.close()
    wait_for(lambda: not intake.answers())


@pytest.mark.parametrize("schedule", ["*/15 3 * * *", "0 0 1,15 * 5", "30 6 * jan-mar mon-fri", "5/20 * * * 7"])
def test_airflow_reads_a_schedule_as_the_small_scheduler_does(schedule: str) -> None:
    assert str(cron_trigger(cron_text(schedule))) == str(cron_trigger(schedule))


def test_a_runs_id_is_plain() -> None:
    assert run_id("flights", "flights-20261124t130000-abcdef") == "flights-20261124t130000-abcdef"
    assert run_id("flights", "manual__2026-11-24T13:00:00+00:00") == "flights-manual-2026-11-24t13-00-00-00-00"
    assert len(run_id("flights", "x" * 250)) < 110


def test_no_more_workers_than_cores() -> None:
    assert bounded(1) == 1
    assert bounded(10_000) == len(os.sched_getaffinity(0))


def test_the_scheduler_waits_for_the_api_server(intake: Intake) -> None:
    port = intake.airflow.port
    assert wait_for_answer(f"http://127.0.0.1:{port}/api/v2/dags", 5)
    assert wait_for_answer(f"http://127.0.0.1:{port}/airflow/", 5), "also what isn't found is an answer"
    assert not wait_for_answer(f"http://127.0.0.1:{free_port()}/", 0.1)


def test_a_lost_task_that_ends_late_says_nothing_of_its_successor(intake: Intake, tmp_path: Path) -> None:
    settings = intake.airflow.settings
    assert settings
    bundle = project(tmp_path / "p", "late", {"name": "a", "command": python("import time; time.sleep(60)")})
    intake.client.put("late", bundle)
    run = Run(id="late-1", pipeline="late", commit="c", digest=bundle.digest, trigger="request", started=now())

    async def both() -> None:
        stop = asyncio.Event()
        first = asyncio.create_task(carry_out(settings, Task(run, "a", 1), asyncio.Event()))
        while (note := note_of(intake.data / "runs" / "late-1", "a")) is None or note.group is None:
            await asyncio.sleep(0.02)
        second = asyncio.create_task(carry_out(settings, Task(run, "a", 2), stop))
        with pytest.raises(StepFailed, match="exit code 137"):
            await first
        await asyncio.to_thread(
            wait_for, lambda: (found := note_of(intake.data / "runs" / "late-1", "a")) and found.attempts == 2
        )
        stop.set()
        with pytest.raises(StepFailed):
            await second

    asyncio.run(both())
    note = note_of(intake.data / "runs" / "late-1", "a")
    assert note is not None
    assert (note.attempts, note.state) == (2, "lost")


def test_what_is_shipped_needs_nothing_but_what_is_shipped(tmp_path: Path) -> None:
    for file in shipped("airflow_intake"):
        place = tmp_path / file.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(str(file.content))
    command = [sys.executable, "-P", "-c", f"import {INTAKE}.__main__; {INTAKE}.__main__.main()"]
    done = subprocess.run(command, env={"PYTHONPATH": str(tmp_path)}, cwd="/", capture_output=True, text=True)
    assert "can't start: PIPELINES_PORT" in done.stderr
    assert f"from {INTAKE}.dags import pipeline" in engine.DAG_FILE
