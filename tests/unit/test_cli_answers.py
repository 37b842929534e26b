"""What the command line says of wrong input, of outputs, and of the state of things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from terrace import config, resolve
from terrace.errors import InputError, InputErrors, Location
from terrace.names import resource_name
from tests.unit.played import COMPONENT, HOST, PREFIX, ROLE, Recorded, result, run


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
    told = json.loads(shown.stdout)
    down = {"env": "local", "tier": None, "target": None, "services": [], "deployed": None, "current": False}
    assert told == {**down, "checkout": told["checkout"]}


def test_outputs_as_variables_survive_a_shell(play: Callable[..., Recorded], tmp_path: Path) -> None:
    values = {"PLAIN": "https://localhost:8443/mlflow", "HARD": "a b'c$d"}
    stack = play(Recorded(result(), shown={"connection": values}))

    shown = run("output", "local", "connection", "--format", "env", "--show-secrets")

    (tmp_path / ".env").write_text(shown.stdout)
    code = "import os, json; print(json.dumps({k: os.environ[k] for k in ('PLAIN', 'HARD')}))"
    script = f'set -a; . {tmp_path / ".env"}; exec "$0" -c "$1"'
    read = subprocess.run(["sh", "-c", script, sys.executable, code], capture_output=True, text=True, check=True)
    assert json.loads(read.stdout) == values
    assert set(stack.ran) == {"outputs, secrets shown"}


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
