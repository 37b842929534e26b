"""Operations on the Pulumi CLI, played by a program on PATH that prints what the CLI was seen to print."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from terrace.engine.model import Diagnostic, Event, OutputsReady, StepDone, StepFailed, StepStarted
from terrace.engine.options import Import, Options
from terrace.engine.passphrase import Passphrase
from terrace.engine.project import Project
from terrace.errors import InputError, OperationError
from terrace.pulumi_cli import PulumiStack

STACK = "urn:pulumi:dev::shop::pulumi:pulumi:Stack::shop-dev"
THING = "urn:pulumi:dev::shop::pulumi-python:dynamic:Thing::a"
PROVIDER = "urn:pulumi:dev::shop::pulumi:providers:pulumi-python::default"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": '"hush"'}
FAKE = """#!/usr/bin/env python3
import json, os, sys
world = os.environ["FAKE_WORLD"]
with open(world + "/calls", "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
with open(world + "/environment", "w") as file:
    json.dump(dict(os.environ), file)
play = json.load(open(world + "/play.json"))
for word, said in play.items():
    if word in " ".join(sys.argv[1:]):
        sys.stdout.write(said.get("out", ""))
        sys.stderr.write(said.get("err", ""))
        sys.exit(said.get("code", 0))
"""


class World:
    """A folder with a fake ``pulumi``, what it is to say, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = PulumiStack(
            Project("shop", folder, folder / "stacks", folder / "stacks", f"file://{folder}/state"),
            "dev",
            lambda: Passphrase("open sesame", str(folder / "passphrase")),
        )
        self.play(ls={"out": '[{"name": "organization/shop/dev"}]'})

    def play(self, **said: dict[str, Any]) -> None:
        (self.folder / "play.json").write_text(json.dumps(said))

    def calls(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "calls").read_text().splitlines()]

    def environment(self) -> dict[str, str]:
        return dict(json.loads((self.folder / "environment").read_text()))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    program = tmp_path / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_WORLD", str(tmp_path))
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    return World(tmp_path)


def lines(*documents: dict[str, Any]) -> dict[str, Any]:
    return {"out": "".join(json.dumps(document) + "\n" for document in documents)}


def metadata(urn: str, op: str = "create", **more: Any) -> dict[str, Any]:
    return {"op": op, "urn": urn, "type": urn.split("::")[2].rpartition("$")[2], **more}


LISTED = {"out": '[{"name": "organization/shop/dev"}]'}


def test_an_operations_events_become_steps_and_outputs(world: World) -> None:
    diff = {"detailedDiff": {"nested.a": {"diffKind": "update-replace"}}}
    change = metadata(THING, "update", old={"inputs": {"nested": SECRET}}, new={"inputs": {"nested": {"a": 2}}}, **diff)
    done = metadata(STACK, "same", new={"outputs": {"url": "https://x", "password": SECRET}})
    world.play(
        ls=LISTED,
        up=lines(
            {"resourcePreEvent": {"metadata": metadata(PROVIDER)}},
            {"resourcePreEvent": {"metadata": change}},
            {"diagnosticEvent": {"severity": "debug", "message": "not told"}},
            {"diagnosticEvent": {"severity": "warning", "message": "careful", "urn": THING}},
            {"resOutputsEvent": {"metadata": change}},
            {"resOutputsEvent": {"metadata": done}},
        ),
    )
    told: list[Event] = []
    result = world.stack.up(on_event=told.append)
    assert result.ok
    assert result.summary == {"update": 1, "same": 1}
    assert result.outputs == {"url": "https://x", "password": "[secret]"}
    (property_change,) = result.steps[0].diff
    assert (property_change.path, property_change.kind, property_change.replaces) == ("nested", "update", True)
    assert property_change.old == "[secret]"
    assert [type(event) for event in told] == [StepStarted, Diagnostic, StepDone, OutputsReady, StepDone]
    assert world.calls()[-1] == ["up", "--yes", "--skip-preview", "--json", "--color", "never", "--stack", "dev"]


def test_the_cli_imports_one_thing_and_writes_no_program(world: World) -> None:
    world.play(ls=LISTED, up=lines())
    wanted = Import("kubernetes:core/v1:ConfigMap", "mine", "ml/settings", STACK, PROVIDER, protect=False)
    assert world.stack.import_(options=Options(imports=(wanted,))).ok
    words = world.calls()[-1]
    assert words[:4] == ["import", wanted.type, wanted.name, wanted.id]
    assert words[4:-5] == [
        "--generate-code=false",
        "--protect=false",
        f"--parent=parent={STACK}",
        f"--provider=provider={PROVIDER}",
        "--yes",
        "--skip-preview",
    ]


def test_a_preview_tells_what_is_planned(world: World) -> None:
    world.play(
        ls=LISTED,
        preview=lines(
            {"resourcePreEvent": {"metadata": metadata(THING), "planning": True}},
            {"resOutputsEvent": {"metadata": metadata(THING), "planning": True}},
        ),
    )
    result = world.stack.preview()
    assert [(step.op, step.urn) for step in result.steps] == [("create", THING)]


def test_a_failed_step_is_told_without_its_traceback(world: World) -> None:
    trace = (
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    boom()\nValueError: the port is taken\n'
    )
    world.play(
        ls=LISTED,
        destroy={
            **lines(
                {"resourcePreEvent": {"metadata": metadata(THING, "delete")}},
                {"diagnosticEvent": {"severity": "error", "message": trace, "urn": THING}},
                {"resOpFailedEvent": {"metadata": metadata(THING, "delete")}},
                {"diagnosticEvent": {"severity": "error", "message": "destroy failed", "urn": ""}},
            ),
            "code": 1,
        },
    )
    told: list[Event] = []
    result = world.stack.destroy(on_event=told.append)
    assert not result.ok
    assert [(error.urn, error.message) for error in result.errors] == [(THING, "ValueError: the port is taken")]
    assert [event.message for event in told if isinstance(event, StepFailed)] == ["ValueError: the port is taken"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"err": "error: the stack is locked\n", "code": 255}, "the stack is locked"),
        (
            {**lines({"diagnosticEvent": {"severity": "info#err", "message": "NameError: x"}}), "code": 1},
            "NameError: x",
        ),
        ({"out": "plain words\n", "code": 1}, "the Pulumi CLI failed"),
    ],
)
def test_what_the_cli_says_of_its_own_failure_is_told(world: World, said: dict[str, Any], expected: str) -> None:
    world.play(ls=LISTED, refresh=said)
    result = world.stack.refresh()
    assert [error.message for error in result.errors] == [expected]


def test_a_stack_that_is_not_there_is_made_first(world: World) -> None:
    world.play(ls={"out": "[]"}, up={})
    assert world.stack.outputs() == {}
    assert world.stack.up().ok
    assert [call[:2] for call in world.calls()] == [
        ["stack", "ls"],
        ["stack", "ls"],
        ["stack", "init"],
        ["up", "--yes"],
    ]


def test_outputs_show_secrets_when_they_are_asked_for(world: World) -> None:
    world.play(**{"ls": LISTED, "stack output --json --show-secrets": {"out": '{"password": "hush"}'}})
    assert world.stack.outputs(show_secrets=True) == {"password": "hush"}


def test_a_refused_question_is_an_error(world: World) -> None:
    world.play(ls=LISTED, cancel={"err": "error: no such stack\n", "code": 255})
    with pytest.raises(OperationError, match="pulumi cancel --yes") as refused:
        world.stack.cancel()
    assert refused.value.why == "no such stack"


def test_the_cli_gets_the_backend_and_the_passphrases_file_but_no_passphrase(world: World) -> None:
    world.play(ls=LISTED, up={})
    world.stack.up()
    environment = world.environment()
    assert environment["PULUMI_BACKEND_URL"] == f"file://{world.folder}/state"
    assert environment["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(world.folder / "passphrase")
    assert "open sesame" not in json.dumps([environment, world.calls()])


def test_the_cli_is_told_whose_home_the_state_is_in(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(world.folder))
    project = dataclasses.replace(world.stack.project, backend_url="file://~")
    world.play(ls=LISTED, up={})
    dataclasses.replace(world.stack, project=project).up()
    assert world.environment()["PULUMI_BACKEND_URL"] == f"file://{world.folder}"


def test_a_passphrase_of_the_environment_is_left_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "mine")
    world.play(ls=LISTED, up={})
    world.stack.up()
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in world.environment()


def test_without_the_cli_the_error_says_how_to_get_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(InputError, match="not installed") as missing:
        world.stack.up()
    assert "--engine embedded" in (missing.value.fix or "")
