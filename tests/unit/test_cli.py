"""The command line: arguments, plans, and what is printed, over a stack that plays a recorded operation."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

from terrace.cli import COMMANDS
from terrace.cli.options import COMPONENTS, SECRETS, urn_pattern
from terrace.engine.model import (
    PropertyChange,
    ResourceError,
    Step,
)
from terrace.engine.options import Options, Urns
from tests.unit.played import COMPONENT, HOST, ROLE, Recorded, result, run


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
        "rules": [],
        "versions": [],
        "flavors": [],
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


@pytest.mark.parametrize("words", ["secrets", "tracking"])
def test_what_belongs_to_a_part_need_not_be_there(play: Callable[..., Recorded], words: str) -> None:
    stack = Recorded(result(COMPONENT, ROLE))  # no host, as on a cluster, and nothing generated
    play(stack)
    assert run("preview", "-t", words).exit_code == 0
    assert COMPONENTS in stack.options.targets
    assert (set(SECRETS) <= set(stack.options.targets)) is (words == "secrets")


@pytest.mark.parametrize("words", ["nonsense", "tracking/nonsense", "platform/nonsense"])
def test_a_part_that_is_not_there_is_named(play: Callable[..., Recorded], words: str) -> None:
    play(Recorded(result(COMPONENT, ROLE, HOST)))
    shown = run("preview", "-t", words)
    assert shown.exit_code == 2
    assert f"no resource is called {words}\n" in shown.stderr


@pytest.mark.parametrize(("word", "meant"), [("host", "platform/host"), ("mlflow-service", "tracking/mlflow-service")])
def test_a_part_without_its_slot_is_told_in_whole(play: Callable[..., Recorded], word: str, meant: str) -> None:
    play(Recorded(result(COMPONENT, ROLE, HOST)))
    assert f"no resource is called {word}; did you mean {meant!r}?" in run("preview", "-t", word).stderr


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
