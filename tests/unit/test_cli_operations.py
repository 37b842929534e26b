"""Operations by the command line: questions, progress, failures, and signals."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from terrace.engine.model import (
    Diagnostic,
    RecoveryNotice,
    ResourceError,
    Result,
    StepDone,
    StepFailed,
    StepStarted,
)
from tests.unit.played import COMPONENT, HOST, ROLE, Recorded, result, run


def test_up_without_a_terminal_needs_yes_and_touches_nothing(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result()))

    shown = run("up", "local")

    assert shown.exit_code == 2
    assert "terrace up local --yes" in shown.stderr
    assert stack.ran == ["outputs"]


def test_destroy_without_a_terminal_needs_yes_and_touches_nothing(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result()))

    assert run("destroy", "local", "--json").exit_code == 2
    assert stack.ran == []


def test_data_in_a_cluster_is_not_deleted_by_destroy(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result(), shown={"cluster": {"namespace": "ml"}}))

    shown = run("destroy", "--yes", "--delete-data")

    assert shown.exit_code == 2
    assert "kubectl delete namespace ml" in shown.stderr
    assert stack.ran == ["outputs"]


def test_up_prints_a_line_when_a_resource_starts_and_when_it_is_done(play: Callable[..., Recorded]) -> None:
    events = (StepStarted(COMPONENT), StepDone(COMPONENT), StepStarted(ROLE), StepDone(ROLE), StepDone(HOST))
    play(Recorded(result(COMPONENT, ROLE, HOST), events, {"endpoints": {"tracking": "https://localhost/mlflow"}}))

    shown = run("up", "--yes")

    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    assert lines[0] == "start  create   tracking/mlflow-service"
    assert lines[1].startswith("done   create   tracking/mlflow-service ")
    assert lines[2].startswith("2 created, 1 unchanged (")
    assert lines[3].split() == ["tracking", "https://localhost/mlflow"]


def test_a_failed_up_ends_with_the_error_and_what_to_do(play: Callable[..., Recorded]) -> None:
    failed = result(COMPONENT, ok=False, errors=(ResourceError(ROLE.urn, "port 15000 is taken"),))
    play(Recorded(failed, (StepStarted(ROLE), StepFailed(ROLE, "port 15000 is taken"))))

    shown = run("up", "--yes")

    assert shown.exit_code == 1
    assert shown.stderr.splitlines()[-2:] == [
        "error: tracking/mlflow-service: port 15000 is taken",
        "  fix: remove the cause and run `terrace up local` again; what is done stays done",
    ]


def test_a_failed_up_tells_a_program_by_json(play: Callable[..., Recorded]) -> None:
    play(Recorded(result(COMPONENT, ok=False, errors=(ResourceError(ROLE.urn, "no space\n  fix: free some"),))))

    shown = run("up", "--yes", "--json")

    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["ok"] is False
    assert json.loads(shown.stderr) == [
        {"error": {"where": "tracking/mlflow-service", "what": "no space\n  fix: free some", "why": None, "fix": None}}
    ]


@pytest.mark.parametrize(("number", "code"), [(None, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_up_exits_by_its_signal(
    play: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch, number: int | None, code: int
) -> None:
    from terrace.cli import errors

    monkeypatch.setattr(errors, "_received", [number] if number else [])
    stopped = (ResourceError("", "the operation was interrupted"),)
    play(Recorded(result(ok=False, interrupted=True, errors=stopped)))

    shown = run("up", "--yes")

    assert shown.exit_code == code
    assert "terrace up local" in shown.stderr


def test_sigterm_stops_a_command_as_ctrl_c_does(play: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch) -> None:
    from terrace.cli import errors

    monkeypatch.setattr(errors, "_received", [])
    stack = play(Recorded(result()))

    def terminated(**_arguments: object) -> Result:
        os.kill(os.getpid(), signal.SIGTERM)
        return stack.result

    monkeypatch.setattr(stack, "up", terminated)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run("up", "--yes").exit_code == 143
    finally:
        signal.signal(signal.SIGTERM, before)


def test_warnings_and_recovery_are_told_and_other_messages_are_not(play: Callable[..., Recorded]) -> None:
    events = (
        Diagnostic("warning", ROLE.urn, "the disk is nearly full\n"),
        Diagnostic("info", ROLE.urn, "TASK [make folders]"),
        Diagnostic("info", "", "added an encryption salt"),
        Diagnostic("debug", "", "registering"),
        RecoveryNotice("an earlier operation was killed", ()),
    )
    play(Recorded(result(HOST), events))

    assert run("up", "--yes").stderr.splitlines() == [
        "warning: tracking/mlflow-service: the disk is nearly full",
        "added an encryption salt",
        "recovered: an earlier operation was killed",
    ]


def test_another_version_is_said_first_and_one_that_cannot_go_back_is_refused(
    play: Callable[..., Recorded], versions: Path
) -> None:
    play(Recorded(result(HOST)))
    (versions / "feast").write_text("0.1.0")
    (versions / "mlflow").write_text("0.1.0")
    shown = run("up", "local", "--yes")
    assert shown.exit_code == 0
    assert "feast: feast 0.1.0 → " in shown.stdout
    assert "changes the schemas of its databases for good, a backup is made first" in shown.stdout

    (versions / "mlflow").write_text("99.0")
    for command in (("preview", "local"), ("up", "local", "--yes")):
        refused = run(*command)
        assert refused.exit_code == 2
        assert "mlflow can't go back from mlflow 99.0 to " in refused.stderr
        assert "terrace restore local --snapshot ID" in refused.stderr


@pytest.mark.parametrize("command", [("preview", "local"), ("up", "local", "--yes")])
def test_another_flavor_is_said_before_anything_is_touched(
    play: Callable[..., Recorded], command: tuple[str, ...]
) -> None:
    stack = play(Recorded(result(HOST), shown={"flavors": {"pipelines": "timer", "serving": "mlserver", "old": "one"}}))
    shown = run(*command)
    assert shown.exit_code == 0
    assert stack.ran[:2] == ["outputs", command[0]]
    assert shown.stdout.splitlines()[0] == (
        "  pipelines: timer → airflow carries nothing over: what timer keeps stays where it is, and airflow doesn't "
        "read it"
    )
    assert shown.stdout.count("carries nothing over") == 1


def test_another_flavor_is_said_to_programs(play: Callable[..., Recorded]) -> None:
    play(Recorded(result(HOST), shown={"flavors": {"pipelines": "timer"}}))
    told = json.loads(run("preview", "local", "--json").stdout)
    assert told["flavors"] == [{"slot": "pipelines", "before": "timer", "after": "airflow"}]
