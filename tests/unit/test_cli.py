"""The command line: arguments, exit codes, and what is printed, over a stack that plays a recorded operation."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from terrace import config, resolve
from terrace.cli import COMMANDS, application, operations
from terrace.cli.names import resource_name
from terrace.cli.options import urn_pattern
from terrace.engine.model import (
    Diagnostic,
    Event,
    OnEvent,
    PropertyChange,
    RecoveryNotice,
    ResourceError,
    Result,
    Step,
    StepDone,
    StepFailed,
    StepStarted,
)
from terrace.engine.options import Options, Urns
from terrace.errors import InputError, InputErrors, Location

PREFIX = "urn:pulumi:local::terrace::"
COMPONENT = Step(
    "create", PREFIX + "terrace:platform:Platform$terrace:tracking:MLflow::mlflow", "terrace:tracking:MLflow"
)
ROLE_TYPE = "pulumi-python:dynamic/terrace:HostRole"
ROLE = Step(
    "create", PREFIX + f"terrace:platform:Platform$terrace:tracking:MLflow${ROLE_TYPE}::mlflow-service", ROLE_TYPE
)
HOST = Step("same", PREFIX + f"terrace:platform:Platform${ROLE_TYPE}::host", ROLE_TYPE)


@dataclass
class Recorded:
    """A stack whose operations tell ``events`` and end with ``result``."""

    result: Result
    events: tuple[Event, ...] = ()
    shown: dict[str, Any] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    raises: BaseException | None = None
    options: Options = field(default_factory=Options)

    def _run(self, operation: str, on_event: OnEvent | None, options: Options) -> Result:
        self.ran.append(operation)
        self.options = options
        if self.raises:
            raise self.raises
        if on_event:
            for event in self.events:
                on_event(event)
        return self.result

    def preview(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("preview", on_event, options)

    def up(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("up", on_event, options)

    def refresh(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("refresh", on_event, options)

    def destroy(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("destroy", on_event, options)

    def cancel(self) -> None:
        self.ran.append("cancel")

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        self.ran.append("outputs, secrets shown" if show_secrets else "outputs")
        return self.shown


def result(*steps: Step, **changes: Any) -> Result:
    counts = {step.op: sum(other.op == step.op for other in steps) for step in steps}
    return Result(**{"ok": True, "steps": steps, "summary": counts, "outputs": {}, "errors": (), **changes})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder, as the working folder, with an environment ``local``."""
    (tmp_path / "Pulumi.yaml").write_text("name: terrace\nruntime: python\nmain: stacks\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text("config:\n  terrace:tier: 3\n  terrace:target: host\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def play(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Recorded]:
    """Have the environment's stack be a recorded one."""

    def use(stack: Recorded) -> Recorded:
        monkeypatch.setattr(operations, "_stack", lambda *_arguments: stack)
        return stack

    return use


def run(*arguments: str) -> Any:
    return CliRunner().invoke(application(), arguments)


def test_every_command_has_help_with_an_example() -> None:
    for name in COMMANDS:
        shown = run(name, "--help")
        assert shown.exit_code == 0
        assert f"terrace {name}" in shown.output.split("Example", 1)[1]


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from terrace.cli import application; application()(['--help'], standalone_mode=False); "
        "print(*sorted({'pulumi', 'rich', 'pydantic', 'ruamel.yaml'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == ""


def test_preview_prints_the_contract_as_json(play: Callable[..., Recorded]) -> None:
    play(Recorded(result(COMPONENT, ROLE, HOST, outputs={"tier": 3, "connection": "[secret]"})))

    shown = run("preview", "local", "--json")

    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == {
        "env": "local",
        "steps": [{"op": step.op, "urn": step.urn, "type": step.type} for step in (COMPONENT, ROLE, HOST)],
        "summary": {"create": 2, "same": 1},
        "outputs": {"tier": 3, "connection": "[secret]"},
    }


def test_a_plan_shows_what_changes_and_leaves_out_what_does_not(play: Callable[..., Recorded]) -> None:
    change = PropertyChange("variables", "update", "[secret]", "[secret]", replaces=True)
    play(Recorded(result(COMPONENT, Step("update", ROLE.urn, ROLE.type, (change,)), HOST)))

    lines = run("preview").output.splitlines()

    assert lines[0].split() == ["+", "mlflow", "terrace:tracking:MLflow"]
    assert lines[1].split() == ["~", "mlflow-service", "terrace:HostRole"]
    assert lines[2].strip() == "~ variables: [secret] → [secret] (replaces)"
    assert lines[3] == "1 to create, 1 to update, 1 unchanged"


def test_a_plan_for_programs_says_what_changes_and_what_is_not_verified(play: Callable[..., Recorded]) -> None:
    change = PropertyChange("size", "update", 1, 2, replaces=True)
    play(
        Recorded(
            result(
                Step(
                    "replace",
                    "urn:pulumi:local::terrace::aws:s3/bucket:Bucket::b",
                    "aws:s3/bucket:Bucket",
                    (change,),
                    unverified=True,
                )
            )
        )
    )

    (step,) = json.loads(run("preview", "--json").stdout)["steps"]

    assert step["changes"] == [{"path": "size", "kind": "update", "old": 1, "new": 2, "replaces": True}]
    assert step["unverified"] is True


def test_the_engine_gets_the_options_of_the_command(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result(COMPONENT, ROLE, HOST, Step("same", "urn:x", "x"))))

    run(
        "up",
        "--yes",
        "-t",
        "tracking",
        "--target-dependents",
        "--replace",
        "urn:x",
        "-r",
        "-p",
        "2",
        "--continue-on-error",
    )

    assert stack.options == Options(2, True, True, ("urn:pulumi:*::*::**terrace:tracking:**::**",), True, ("urn:x",))
    run("destroy", "--yes", "--target", "platform/host")
    assert stack.options == Options(targets=("urn:pulumi:*::*::**::host",))


def test_a_part_comes_with_the_components_that_it_is_in(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result(COMPONENT, ROLE, HOST)))
    run("preview", "-t", "tracking/mlflow-service")
    wanted = Urns(stack.options.targets)
    assert [step.urn in wanted for step in (COMPONENT, ROLE, HOST)] == [True, True, False]
    run("destroy", "--yes", "-t", "tracking/mlflow-service")
    assert [step.urn in Urns(stack.options.targets) for step in (COMPONENT, ROLE, HOST)] == [False, True, False]


@pytest.mark.parametrize("words", ["nonsense", "tracking/nonsense", "platform/nonsense"])
def test_a_part_that_is_not_there_is_named(play: Callable[..., Recorded], words: str) -> None:
    play(Recorded(result(COMPONENT, ROLE, HOST)))
    shown = run("preview", "-t", words)
    assert shown.exit_code == 2
    assert f"no resource is called {words}\n" in shown.stderr


def test_errors_name_resources_as_they_are_shown(play: Callable[..., Recorded]) -> None:
    failed = ResourceError(ROLE.urn, f"it needs {HOST.urn}, which isn't a target\n  fix: add --target {HOST.urn}")
    play(Recorded(result(ok=False, errors=(failed,))))
    assert "tracking/mlflow-service: it needs platform/host, which" in run("preview").stderr


@pytest.mark.parametrize(
    ("resource", "step", "meant"),
    [
        ("tracking", ROLE, True),
        ("tracking/mlflow-service", ROLE, True),
        ("tracking/mlflow", ROLE, False),
        ("tracking", COMPONENT, True),
        ("tracking", HOST, False),
        ("platform/host", HOST, True),
        (ROLE.urn, ROLE, True),
        ("**::mlflow-*", ROLE, True),
    ],
)
def test_targets_are_named_as_they_are_shown(resource: str, step: Step, meant: bool) -> None:
    assert (step.urn in Urns([urn_pattern(resource)])) is meant


def test_up_without_a_terminal_needs_yes_and_touches_nothing(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result()))

    shown = run("up", "local")

    assert shown.exit_code == 2
    assert "terrace up local --yes" in shown.stderr
    assert stack.ran == []


def test_destroy_without_a_terminal_needs_yes_and_touches_nothing(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result()))

    assert run("destroy", "local", "--json").exit_code == 2
    assert stack.ran == []


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


def test_all_input_errors_are_printed_with_their_places(
    play: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = play(Recorded(result()))
    place = Location("stacks/Pulumi.local.yaml", 2, 3)
    both = InputErrors([InputError("tier 9", where=place, fix="1 to 5"), InputError("unknown key")])

    def load(_root: Path, _env: str) -> None:
        raise both

    monkeypatch.setattr(config, "load", load)

    assert run("preview").stderr == ("error: stacks/Pulumi.local.yaml:2:3: tier 9\n  fix: 1 to 5\nerror: unknown key\n")
    shown = run("preview", "--json")
    assert shown.exit_code == 2
    assert [entry["error"]["what"] for entry in json.loads(shown.stderr)] == ["tier 9", "unknown key"]
    assert stack.ran == []


def test_a_blueprint_that_cannot_be_resolved_is_wrong_input(
    play: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = play(Recorded(result()))

    def refuse(_loaded: object) -> None:
        raise InputErrors([InputError("port 1024 is tracking's already")])

    monkeypatch.setattr(resolve, "resolve", refuse)

    assert run("up", "--yes").exit_code == 2
    assert stack.ran == []


def test_an_unknown_environment_is_wrong_input(project: Path) -> None:
    shown = run("up", "prod", "--yes")

    assert shown.exit_code == 2
    assert "'prod'" in shown.stderr


def test_outside_of_a_project_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    shown = run("preview")

    assert shown.exit_code == 2
    assert "there is no Pulumi.yaml here" in shown.stderr


def test_the_project_is_found_upwards(
    play: Callable[..., Recorded], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(Recorded(result(HOST)))
    inside = project / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)

    assert run("preview").exit_code == 0
    assert run("preview", "--project", str(inside)).exit_code == 2


def test_status_of_what_is_not_up_is_a_failure(play: Callable[..., Recorded]) -> None:
    play(Recorded(result()))

    assert run("status").exit_code == 1
    shown = run("status", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout) == {"env": "local", "tier": None, "target": None, "services": []}


def test_outputs_as_variables_survive_a_shell(play: Callable[..., Recorded], tmp_path: Path) -> None:
    values = {"PLAIN": "https://localhost:8443/mlflow", "HARD": "a b'c$d"}
    stack = play(Recorded(result(), shown={"connection": values}))

    shown = run("output", "local", "connection", "--format", "env", "--show-secrets")

    (tmp_path / ".env").write_text(shown.stdout)
    code = "import os, json; print(json.dumps({k: os.environ[k] for k in ('PLAIN', 'HARD')}))"
    script = f'set -a; . {tmp_path / ".env"}; exec "$0" -c "$1"'
    read = subprocess.run(["sh", "-c", script, sys.executable, code], capture_output=True, text=True, check=True)
    assert json.loads(read.stdout) == values
    assert stack.ran == ["outputs, secrets shown"]


def test_outputs_are_asked_for_without_secrets_by_default(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result(), shown={"tier": 3, "connection": "[secret]", "services": [{"name": "mlflow"}]}))

    assert json.loads(run("output", "--json").stdout)["connection"] == "[secret]"
    assert "connection: [secret]" in run("output").stdout
    assert set(stack.ran) == {"outputs"}


def test_an_unknown_output_names_the_known_ones(play: Callable[..., Recorded]) -> None:
    play(Recorded(result(), shown={"connection": {}, "endpoints": {}}))

    shown = run("output", "local", "conection")

    assert shown.exit_code == 2
    assert "one of: connection, endpoints" in shown.stderr


def test_nested_outputs_are_not_written_as_variables(play: Callable[..., Recorded]) -> None:
    play(Recorded(result(), shown={"credentials": {"tracking": {"user": "admin"}}}))

    assert run("output", "local", "credentials", "--format", "env").exit_code == 2


def test_destroy_deletes_data_only_when_told(play: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRACE_DELETE_DATA", "")
    play(Recorded(result()))

    run("destroy", "--yes")
    assert os.environ["TERRACE_DELETE_DATA"] == ""

    run("destroy", "--yes", "--delete-data")
    assert os.environ["TERRACE_DELETE_DATA"] == "1"


def test_cancel_frees_the_stack(play: Callable[..., Recorded]) -> None:
    stack = play(Recorded(result()))

    assert run("cancel").exit_code == 0
    assert stack.ran == ["cancel"]


def test_a_defect_is_not_hidden(play: Callable[..., Recorded]) -> None:
    play(Recorded(result(), raises=ZeroDivisionError("defect")))

    shown = run("preview")

    assert shown.exit_code == 1
    assert isinstance(shown.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("urn", "name"),
    [
        (COMPONENT.urn, "tracking/mlflow"),
        (ROLE.urn, "tracking/mlflow-service"),
        (HOST.urn, "platform/host"),
        (PREFIX + "pulumi:pulumi:Stack::terrace-local", "platform/terrace-local"),
        ("", "platform/program"),
    ],
)
def test_resources_are_named_by_their_slot(urn: str, name: str) -> None:
    assert str(resource_name(urn)) == name
