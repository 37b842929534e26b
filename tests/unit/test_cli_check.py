"""`terrace check`, and what `preview` and `up` do with the rules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from terrace import compliance
from terrace.engine.model import Diagnostic, ResourceError
from tests.unit.played import ROLE, Recorded, result, run

ROOT = Path(__file__).parents[2]
UNNEEDED = """\
    waivers:
      - {rule: K5, resource: serving/mlserver-service, reason: It moves in spring., owner: ann, expires: 2999-12-31}
"""


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of this project's stacks, as the working folder; nothing in it can be deployed from there."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("PULUMI_")]:
        monkeypatch.delenv(name)
    return tmp_path


def add(copy: Path, lines: str, env: str = "local") -> None:
    """Add lines to an environment's platform, and a person to its team."""
    file = copy / "stacks" / f"Pulumi.{env}.yaml"
    text = file.read_text(encoding="utf-8")
    team = text.replace("    team:\n", "    team:\n      people: {ann: {email: ann@example.org}}\n")
    assert team != text
    file.write_text(team + lines, encoding="utf-8")


def test_all_environments_keep_the_rules_in_one_call(copy: Path) -> None:
    shown = run("check")
    assert shown.exit_code == 0
    assert [line.split(":")[0] for line in shown.stdout.splitlines() if " rules: " in line] == [
        "dev",
        "local",
        "prod",
        "staging",
    ]
    assert not (copy / "home").exists(), "it made a passphrase or a state"


def test_what_is_found_is_printed_for_programs(copy: Path) -> None:
    shown = run("check", "local", "--json")
    (found,) = json.loads(shown.stdout)["environments"]
    assert (shown.exit_code, found["env"], found["summary"]["mandatory"]) == (0, "local", 0)
    assert {each["status"] for each in found["findings"]} <= {"passes", "violates"}


def test_a_violated_rule_is_told_with_resource_property_and_fix(copy: Path) -> None:
    waiver = (
        "{rule: K5, resource: serving/mlserver-service, reason: It moves in spring., owner: ann, expires: 2999-12-31}"
    )
    add(copy, f"    waivers: [{waiver}]\n")
    shown = run("check", "dev", "local")
    assert shown.exit_code == 1
    lines = shown.stdout.splitlines()
    at = lines.index("  M18 waivers hold and are needed (violated, mandatory, high)")
    assert "platform/platform" in lines[:at]
    assert lines[at + 1].startswith("    waivers[0]: ")
    assert lines[at + 2].startswith("    fix: ")


def test_a_wrong_stack_file_ends_with_2_and_keeps_nobody_waiting(copy: Path) -> None:
    add(copy, "    nonsense: 1\n")
    shown = run("check")
    assert shown.exit_code == 2
    assert "nonsense: unknown key" in shown.stderr
    assert "staging: tier 3" in shown.stdout
    assert run("check", "absent").exit_code == 2


def test_a_program_that_fails_is_told(copy: Path) -> None:
    (copy / "stacks" / "__main__.py").write_text("raise RuntimeError('no such thing')\n")
    shown = run("check", "local")
    assert shown.exit_code == 1
    assert "no such thing" in shown.stderr


def test_what_cannot_be_told_of_one_environment_hides_no_other(copy: Path) -> None:
    program = copy / "stacks" / "__main__.py"
    fails = "import pulumi\nif pulumi.get_stack() == 'dev':\n    raise RuntimeError('no such thing')\n"
    program.write_text(program.read_text(encoding="utf-8") + fails, encoding="utf-8")
    shown = run("check", "dev", "local", "--json")
    assert shown.exit_code == 1
    assert [each["env"] for each in json.loads(shown.stdout)["environments"]] == ["local"]
    assert [each["error"]["where"] for each in json.loads(shown.stderr)] == ["dev"]
    add(copy, "    nonsense: 1\n", "prod")
    shown = run("check", "dev", "local", "prod")
    assert shown.exit_code == 2
    assert "local: tier 3" in shown.stdout
    assert "no such thing" in shown.stderr
    assert "nonsense: unknown key" in shown.stderr


def test_secrets_stay_closed_and_are_not_asked_for(copy: Path) -> None:
    add(copy, "    network:\n      proxy: {secure: 'v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}\n")
    file = copy / "stacks" / "Pulumi.local.yaml"
    salt = "v1:unRlJG25QHI=:v1:pcqaVteNBzKNbMkL:AXGPayIVIo4hHS8Yec91tkP+rUtp4A=="
    file.write_text(f"encryptionsalt: {salt}\n" + file.read_text(encoding="utf-8"), encoding="utf-8")
    shown = run("check", "local", "--json")
    assert shown.exit_code == 0, shown.output
    assert "AAAA" not in shown.output
    assert "closed-" not in shown.output


def test_no_network_and_no_host_is_needed(copy: Path) -> None:
    """Another host is not asked by SSH which versions its data is of."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDHscjJnDZ8CrQPEH0xuF0ZMdphZ3bq57/nrluojxGcx"
    add(copy, f"    hosts: [{{name: far, address: 192.0.2.1, connection: ssh, host_key: {key}}}]\n")
    code = (
        "import socket, sys\n"
        "def refuse(*_): raise AssertionError('it speaks to somebody')\n"
        "socket.socket.connect = socket.create_connection = refuse\n"
        "import subprocess\n"
        "class Git(subprocess.Popen):\n"
        "    def __init__(self, words, *rest, **named):\n"
        "        assert words[0] == 'git'; super().__init__(words, *rest, **named)\n"
        "subprocess.Popen = Git\n"
        "from terrace.cli import main; sys.argv = ['terrace', 'check', 'local']; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=copy, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def _undetermined(monkeypatch: pytest.MonkeyPatch) -> None:
    from policies.values import UNKNOWN

    plain = compliance._seen

    def seen(planned: Any) -> Any:
        found = plain(planned)
        unknown = {"variables": UNKNOWN} if found.name == "mlflow-service" else {}
        return type(found)(found.urn, found.type, {**found.properties, **unknown})

    monkeypatch.setattr(compliance, "_seen", seen)


def test_what_is_not_known_yet_fails_unless_allowed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _undetermined(monkeypatch)
    shown = run("check", "local")
    assert shown.exit_code == 1
    assert "K5 memory is limited (undetermined, mandatory, medium)" in shown.stdout
    assert "variables: its value isn't known yet" in shown.stdout
    assert run("check", "local", "--allow-undetermined").exit_code == 0


def test_a_refused_plan_is_told_like_a_compiler_does(play: Callable[..., Recorded]) -> None:
    said = Diagnostic("error", ROLE.urn, "K5 memory is limited: no limit\n  why: It ends others.\n  fix: set it")
    play(Recorded(result(ROLE, ok=False, errors=(ResourceError(said.urn, said.message),), judged=(said,))))
    shown = run("up", "--yes")
    assert shown.exit_code == 1
    assert "error: tracking/mlflow-service: K5 memory is limited: no limit" in shown.stderr
    assert "  fix: set it" in shown.stderr
    (record,) = json.loads(run("preview", "--json").stdout)["rules"]
    assert record == {"severity": "error", "urn": ROLE.urn, "message": said.message}


def test_preview_and_up_ask_the_rules_before_anything(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiver = (
        "{rule: K5, resource: serving/mlserver-service, reason: It moves in spring., owner: ann, expires: 2999-12-31}"
    )
    add(copy, f"    waivers: [{waiver}]\n    backend: 'file://{copy}/state'\n")
    (copy / "state").mkdir()
    monkeypatch.setattr("terrace.upgrades.planned", lambda *_: [])  # of this machine
    monkeypatch.setattr("terrace.upgrades.refusals", lambda *_: [])
    converged: list[Any] = []
    monkeypatch.setattr("terrace.host_ansible.converge", converged.append)
    for command in (("preview", "local"), ("up", "local", "--yes")):
        shown = run(*command)
        assert shown.exit_code == 1, shown.output
        assert "error: platform/platform: M18 waivers hold and are needed" in shown.stderr
    assert converged == []


@pytest.fixture
def cli_calls(copy: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """What a Pulumi CLI was asked that knows no stack and does nothing; the stack file takes it for the engine."""
    program = copy / "bin" / "pulumi"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$1 $2" >> {copy}/calls\n[ "$2" != ls ] || echo \'[]\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "open sesame")
    add(copy, f"    engine: pulumi\n    backend: 'file://{copy}/state'\n")
    (copy / "state").mkdir()
    return lambda: (copy / "calls").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("command", [("preview", "local"), ("up", "local", "--yes")])
def test_the_rules_are_asked_before_the_pulumi_cli_is(
    copy: Path, cli_calls: Callable[[], list[str]], command: tuple[str, ...]
) -> None:
    shown = run(*command)
    assert shown.exit_code == 0, shown.output
    assert "warning: platform/host: K8 ports are closed by default" in shown.stderr
    assert f"{command[0]} " in [call[: len(command[0]) + 1] for call in cli_calls()]
    assert "stack init" in cli_calls()
    (copy / "calls").unlink()
    file = copy / "stacks" / "Pulumi.local.yaml"
    file.write_text(file.read_text(encoding="utf-8") + UNNEEDED, encoding="utf-8")
    shown = run(*command)
    assert shown.exit_code == 1, shown.output
    assert "error: platform/platform: M18 waivers hold and are needed" in shown.stderr
    assert set(cli_calls()) == {"stack ls"}


def test_what_is_only_advised_is_said_once(copy: Path) -> None:
    from terrace import config, resolve
    from terrace.engine.outline import outline
    from terrace.engine.project import Project

    spec = resolve.resolve(config.load(copy, "dev")).spec.model_copy(update={"tier": 1})
    planned = outline(Project.load(copy), "dev").resources
    free = [each for each in planned if each.name == "mlflow-service"]
    free[0].inputs["variables"] = "{}"
    ask = compliance.engine_judge(spec, "dev")
    first, second = ask(planned), ask(planned)
    assert any("K5" in each.message and each.severity == "warning" for each in first)
    assert [each for each in second if each.severity != "error"] == []
