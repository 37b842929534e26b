"""Runs of pipelines as their users meet them, over HTTP."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from terrace.errors import OperationError
from terrace.pipelines import PipelinesError
from tests.components.timer_server import (
    SECRET,
    Server,
    project,
    python,
    run_once,
    wait_for,
)


def test_steps_run_in_order_in_the_bundle_with_the_declared_variables(shared: Server, tmp_path: Path) -> None:
    show = "import json, os; print(json.dumps([os.getcwd(), dict(os.environ)]))"
    bundle = project(
        tmp_path / "p",
        "order",
        {"name": "first", "command": python("import os; open(os.environ['PIPELINE_RUN_DIR'] + '/note', 'w')")},
        {"name": "second", "command": python("import os; os.stat(os.environ['PIPELINE_RUN_DIR'] + '/note')")},
        {"name": "show", "command": python(show)},
    )
    assert shared.client.put("order", bundle)
    seen: list[tuple[str, str]] = []
    logs: list[tuple[str | None, str]] = []

    run = shared.client.wait(
        shared.client.start("order").id,
        on_step=lambda step: seen.append((step.name, step.state)),
        on_log=lambda step, text: logs.append((step, text)),
        poll_seconds=0.02,
    )

    assert run.state == "succeeded"
    assert [each for each in seen if each[1] == "succeeded"] == [
        ("first", "succeeded"),
        ("second", "succeeded"),
        ("show", "succeeded"),
    ]
    assert [(step.attempts, step.exit_code) for step in run.steps] == [(1, 0)] * 3
    folder, variables = json.loads("".join(text for step, text in logs if step == "show"))
    assert folder == str(shared.data / "bundles" / bundle.digest)
    assert variables.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"
    assert set(variables) == {
        "HOME", "LANG", "PATH", "PIPELINE_COMMIT", "PIPELINE_NAME", "PIPELINE_RUN_DIR", "PIPELINE_RUN_ID",
        "PYTHONUNBUFFERED", "STORE_PASSWORD", "STORE_URL",
    }  # fmt: skip
    assert variables["STORE_URL"] == "http://store.example"
    assert variables["STORE_PASSWORD"] == "***"
    assert (variables["PIPELINE_NAME"], variables["PIPELINE_RUN_ID"]) == ("order", run.id)
    assert variables["PIPELINE_COMMIT"] == bundle.commit == "unversioned"


def test_the_same_bundle_again_changes_nothing(shared: Server, tmp_path: Path) -> None:
    bundle = project(tmp_path / "p", "same", {"name": "a", "command": ["true"]})
    assert shared.client.put("same", bundle) is True
    assert shared.client.put("same", bundle) is False
    other = project(tmp_path / "p", "same", {"name": "a", "command": ["false"]})
    assert shared.client.put("same", other) is True
    assert not (shared.data / "bundles" / bundle.digest).exists(), "the old bundle is still there"
    assert list((shared.data / "bundles" / "incoming").iterdir()) == []


def test_a_step_is_retried_and_its_attempts_are_counted(shared: Server, tmp_path: Path) -> None:
    source = (
        "import os, pathlib, sys; mark = pathlib.Path(os.environ['PIPELINE_RUN_DIR'], 'mark');"
        "done = mark.exists(); mark.touch(); print('again' if done else 'first'); sys.exit(0 if done else 3)"
    )
    run = run_once(shared, tmp_path / "p", "retry", {"name": "a", "command": python(source), "retries": 2})
    assert run.state == "succeeded"
    assert (run.steps[0].attempts, run.steps[0].exit_code) == (2, 0)
    assert shared.log(run, "a") == "first\n[pipelines] ended with exit code 3\nagain\n"
    assert shared.metric('terrace_pipeline_step_attempts_total{pipeline="retry",step="a"}') == 2


def test_a_failing_step_ends_the_run(shared: Server, tmp_path: Path) -> None:
    run = run_once(
        shared,
        tmp_path / "p",
        "fails",
        {"name": "a", "command": python("import sys; print('no such table'); sys.exit(7)")},
        {"name": "b", "command": ["true"]},
    )
    assert (run.state, run.error) == ("failed", "Step a ended with exit code 7")
    assert [(step.state, step.exit_code) for step in run.steps] == [("failed", 7), ("skipped", None)]
    assert shared.metric('terrace_pipeline_last_run_succeeded{pipeline="fails"}') == 0
    assert shared.metric('terrace_pipeline_run_total{pipeline="fails",state="failed"}') == 1
    with pytest.raises(OperationError, match="no such table"):
        shared.client.check(run)


def test_a_program_that_is_not_there_fails_like_in_a_shell(shared: Server, tmp_path: Path) -> None:
    run = run_once(shared, tmp_path / "p", "absent", {"name": "a", "command": ["no-such-program"]})
    assert (run.state, run.steps[0].exit_code) == ("failed", 127)
    assert "no-such-program can't be run: No such file or directory: no-such-program" in shared.log(run, "a")


def test_a_program_that_may_not_be_executed_fails_like_in_a_shell(shared: Server, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "plain.sh").write_text("#!/bin/sh\n")
    run = run_once(shared, tmp_path / "p", "plain", {"name": "a", "command": ["./plain.sh"]})
    assert (run.state, run.steps[0].exit_code) == ("failed", 126)


def test_a_run_that_breaks_its_own_folder_fails_and_the_service_goes_on(shared: Server, tmp_path: Path) -> None:
    source = "import os; os.mkdir(os.environ['PIPELINE_RUN_DIR'] + '/../02-b.log')"
    steps: list[dict[str, object]] = [{"name": "a", "command": python(source)}, {"name": "b", "command": ["true"]}]
    run = run_once(shared, tmp_path / "p", "breaks", *steps)
    assert (run.state, [step.state for step in run.steps]) == ("failed", ["succeeded", "failed"])
    assert "Is a directory" in run.error
    with pytest.raises(PipelinesError, match="The service failed to answer"):
        shared.client.log(run.id, "b")
    assert shared.answers()


def test_a_timeout_ends_all_processes_of_the_step(shared: Server, tmp_path: Path) -> None:
    # The child ignores SIGTERM and leaves the group: neither may save it.
    child = (
        "import os, signal, time; os.setsid(); signal.signal(15, signal.SIG_IGN); print(os.getpid()); time.sleep(99)"
    )
    source = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    run = run_once(shared, tmp_path / "p", "slow", {"name": "a", "command": python(source), "timeout": 1})
    assert (run.state, run.error) == ("failed", "Step a took longer than 1 s and was ended")
    assert run.steps[0].exit_code == 128 + signal.SIGTERM
    pid = int(shared.log(run, "a").split()[0])
    wait_for(lambda: not Path(f"/proc/{pid}").exists())


def test_the_runs_own_timeout_holds_over_retries(shared: Server, tmp_path: Path) -> None:
    step = {"name": "a", "command": python("import time; time.sleep(99)"), "retries": 5}
    run = run_once(shared, tmp_path / "p", "whole", step, timeout=1)
    assert (run.state, run.error) == ("failed", "The run took longer than 1 s")
    assert run.steps[0].attempts == 1


def test_cancel_stops_the_step_gently(shared: Server, tmp_path: Path) -> None:
    source = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(print('bye'))); print('on'); time.sleep(99)"
    )
    shared.client.put("cancel", project(tmp_path / "p", "cancel", {"name": "a", "command": python(source)}))
    run = shared.client.start("cancel")
    wait_for(lambda: shared.log(run, "a").startswith("on"))
    assert shared.metric('terrace_pipeline_running{pipeline="cancel"}') == 1
    with pytest.raises(PipelinesError, match="is running") as second:
        shared.client.start("cancel")
    assert second.value.status == 409
    with pytest.raises(PipelinesError, match="is running"):
        shared.client.delete("cancel")

    shared.client.cancel(run.id)
    run = shared.client.wait(run.id, poll_seconds=0.05)

    assert (run.state, run.steps[0].state) == ("cancelled", "cancelled")
    assert shared.log(run, "a").startswith("on\nbye\n")
    with pytest.raises(PipelinesError, match="has ended already"):
        shared.client.cancel(run.id)


def test_secrets_are_masked_even_when_printed_in_pieces(shared: Server, tmp_path: Path) -> None:
    source = (
        "import os, time; w = os.environ['STORE_PASSWORD'];"
        "print(w[:5], end='', flush=True); time.sleep(.3); print(w[5:], 'x')"
    )
    run = run_once(shared, tmp_path / "p", "mask", {"name": "a", "command": python(source)})
    assert shared.log(run, "a") == "*** x\n"
    for path in (shared.data / "runs" / run.id).rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()


def test_delete_removes_the_pipeline_its_runs_and_its_bundle(shared: Server, tmp_path: Path) -> None:
    run = run_once(shared, tmp_path / "p", "gone", {"name": "a", "command": ["true"]})
    shared.client.delete("gone")
    assert shared.client.runs("gone") == []
    assert "gone" not in {each.name for each in shared.client.pipelines()}
    assert not (shared.data / "bundles" / run.digest).exists()
    assert not (shared.data / "runs" / run.id).exists()
    with pytest.raises(PipelinesError, match="There is no pipeline 'gone'"):
        shared.client.start("gone")
