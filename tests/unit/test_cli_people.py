"""`terrace team` and `terrace credentials`: who is shown what, and how often."""

from __future__ import annotations

import json
import os
import pty
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from terrace.cli import application, credentials, operations
from terrace.engine.model import Step
from tests.unit.played import Recorded, result

STACK = """\
config:
  terrace:tier: 3
  terrace:target: host
  terrace:platform:
    team:
      people:
        scientist: {roles: [data_scientist]}
        nobody: {}
      groups:
        release: {roles: [deployment_lead], members: [scientist]}
"""
OUTPUTS = {
    "people": {"scientist": "the-password"},
    "endpoints": {"gateway": "https://127.0.0.1:8443/"},
    "connection": {"TERRACE_CA_FILE": "/etc/terrace/local/ca.crt"},
}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """An environment ``local`` that is up, in the working folder."""
    (tmp_path / "Pulumi.yaml").write_text(
        f"name: shop\nruntime: python\nmain: stacks\nstackConfigDir: stacks\nbackend: {{url: 'file://{tmp_path}'}}\n"
    )
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(STACK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    recorded = Recorded(result(), shown=OUTPUTS)
    monkeypatch.setattr(operations, "_stack", lambda *_arguments: recorded)
    return recorded


@pytest.mark.usefixtures("stack")
def test_the_team_is_shown_with_roles_and_rights() -> None:
    shown = CliRunner().invoke(application(), ["team", "local"])

    assert shown.exit_code == 0
    assert "scientist  data_scientist, deployment_lead  (groups: release)" in shown.stdout
    assert "  registry         manage" in shown.stdout
    assert "note: nobody has no role, and so gets no access to local" in shown.stderr


@pytest.mark.usefixtures("stack")
def test_the_team_as_json() -> None:
    document = json.loads(CliRunner().invoke(application(), ["team", "local", "--json"]).stdout)

    assert [member["name"] for member in document["people"]] == ["nobody", "scientist"]
    assert document["people"][1]["rights"]["registry"] == "manage"


def test_up_says_who_gets_no_access(stack: Recorded) -> None:
    shown = CliRunner().invoke(application(), ["up", "local", "--yes"])

    assert "note: nobody has no role" in shown.stderr
    assert "up" in stack.ran


def test_a_password_is_not_printed_where_there_is_no_terminal(stack: Recorded) -> None:
    shown = CliRunner().invoke(application(), ["credentials", "local", "scientist"])

    assert shown.exit_code == 2
    assert "a password is shown on a terminal only" in shown.stderr
    assert stack.ran == [], "nothing secret is even read"


@pytest.mark.usefixtures("stack")
def test_a_file_is_written_once(tmp_path: Path) -> None:
    first = CliRunner().invoke(application(), ["credentials", "local", "scientist", "--file", "one.json"])
    again = CliRunner().invoke(application(), ["credentials", "local", "scientist", "--file", "two.json"])

    assert (first.exit_code, again.exit_code) == (0, 1)
    assert json.loads((tmp_path / "one.json").read_text())["password"] == "the-password"
    assert not (tmp_path / "two.json").exists()
    assert "the-password" not in first.output + again.output


@pytest.mark.usefixtures("stack")
def test_a_file_that_is_there_keeps_the_password_for_later(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text("mine")

    refused = CliRunner().invoke(application(), ["credentials", "local", "scientist", "--file", "one.json"])
    later = CliRunner().invoke(application(), ["credentials", "local", "scientist", "--file", "two.json"])

    assert (refused.exit_code, later.exit_code) == (2, 0)
    assert (tmp_path / "one.json").read_text() == "mine"


@pytest.mark.usefixtures("stack")
def test_a_person_without_an_account_is_refused_by_name() -> None:
    shown = CliRunner().invoke(application(), ["credentials", "local", "nobody", "--file", "one.json"])

    assert shown.exit_code == 2
    assert "'nobody' has no account in local" in shown.stderr
    assert "there are: scientist" in shown.stderr


def test_a_new_password_replaces_the_persons_alone_with_what_needs_it(stack: Recorded) -> None:
    urn = "urn:pulumi:local::shop::terrace:platform:Platform$pulumi-python:dynamic/terrace:Password::person-scientist"
    stack.result = result(Step("replace", urn, "pulumi-python:dynamic/terrace:Password"))
    command = ["credentials", "local", "scientist", "--new", "--yes", "--file", "one.json"]
    shown = CliRunner().invoke(application(), command)

    assert shown.exit_code == 0, shown.stderr
    assert stack.ran[:2] == ["outputs, secrets shown", "up"]
    assert set(stack.ran[2:]) == {"outputs, secrets shown"}
    assert stack.options.targets == stack.options.replace == ("urn:pulumi:*::*::**::person-scientist",)
    assert stack.options.target_dependents


def test_a_terminal_shows_it_on_a_screen_that_is_cleared(stack: Recorded) -> None:
    child, terminal = pty.fork()
    if child == 0:
        sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115  # pytest's are none
        credentials.credentials("local", "scientist")
        sys.stdout.flush()
        os._exit(0)
    shown = b""
    while b"clears the screen" not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, b"\n")
    try:
        while part := os.read(terminal, 1000):
            shown += part
    except OSError:  # the terminal is gone with the process
        pass
    _, status = os.waitpid(child, 0)

    assert status == 0
    before, _, rest = shown.decode().partition(credentials.OTHER_SCREEN)
    secret, _, after = rest.partition(credentials.FIRST_SCREEN)
    assert "the-password" in secret
    assert "the-password" not in before + after
