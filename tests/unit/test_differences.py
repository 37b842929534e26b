"""Environments differ only in keys that the list allows."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest
from typer.testing import CliRunner

from terrace import config
from terrace.cli import application
from terrace.differences import AllowedDifference, AllowedDifferences, compare
from terrace.errors import InputError

ROOT = Path(__file__).parents[2]
SECRET = "network:\n      proxy: {secure: 'v1:%s:BBBB'}"


def project(folder: Path, left: str, right: str, allowed: str = "") -> Path:
    (folder / "stacks").mkdir()
    (folder / "Pulumi.yaml").write_text("name: terrace\nruntime: python\n")
    for name, platform in (("left", left), ("right", right)):
        salt = "encryptionsalt: v1:abc=:v1:def=:ghi=\n"
        head = f"{salt}config:\n  terrace:tier: 3\n  terrace:target: host\n  terrace:platform:\n    name: platform\n"
        (folder / "stacks" / f"Pulumi.{name}.yaml").write_text(f"{head}    {platform}\n" if platform else head)
    if allowed:
        (folder / "stacks" / "differences.yaml").write_text(allowed)
    return folder


def differences(folder: Path) -> list[tuple[str, object, object, bool]]:
    found = compare(config.load(folder, "left"), config.load(folder, "right"), AllowedDifferences.load(folder))
    return [(each.path, each.left, each.right, each.allowed) for each in found]


@pytest.mark.parametrize(("left", "right"), list(combinations(config.environments(ROOT), 2)))
def test_this_projects_environments_differ_only_in_allowed_keys(left: str, right: str) -> None:
    found = compare(config.load(ROOT, left), config.load(ROOT, right), AllowedDifferences.load(ROOT))
    assert [each.path for each in found if not each.allowed] == []


def test_a_difference_is_told_with_both_values_and_not_allowed_unless_listed(tmp_path: Path) -> None:
    folder = project(tmp_path, "tracking: {workers: 2, port: 15001}", "tracking: {port: 15002}")
    assert differences(folder) == [
        ("platform.tracking.port", 15001, 15002, False),
        ("platform.tracking.workers", 2, None, False),
    ]
    (folder / "stacks" / "differences.yaml").write_text("allowed: [{path: platform.*.workers, why: Load differs.}]")
    assert [each[3] for each in differences(folder)] == [False, True]


def test_two_secrets_are_the_same_and_a_secret_and_a_text_are_not(tmp_path: Path) -> None:
    folder = project(tmp_path, SECRET % "AAAA", SECRET % "CCCC")
    assert differences(folder) == []
    stack = folder / "stacks" / "Pulumi.right.yaml"
    stack.write_text(stack.read_text().replace("{secure: 'v1:CCCC:BBBB'}", "http://proxy"))
    assert differences(folder) == [("platform.network.proxy", "[secret]", "http://proxy", False)]


@pytest.mark.parametrize(
    ("allowed", "path", "covered"),
    [
        ("platform.hosts", "platform.hosts", True),
        ("platform.team", "platform.team.people.ann.email", True),
        ("platform.*.*_port", "platform.gateway.http_port", True),
        ("platform.*.*_port", "platform.gateway.port", False),
        ("platform.*.workers", "platform.workers", False),
        ("tier", "tiers", False),
    ],
)
def test_a_path_covers_what_lies_below_it(allowed: str, path: str, covered: bool) -> None:
    assert AllowedDifference(path=allowed, why="So.").covers(path) is covered


@pytest.mark.parametrize("content", ["allowed: [{path: tier}]", "allow: []", "[", "3"])
def test_a_list_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    folder = project(tmp_path, "", "", content)
    with pytest.raises(InputError, match="not a list of allowed differences"):
        AllowedDifferences.load(folder)


@pytest.mark.parametrize(
    ("right", "allowed", "code", "said"),
    [
        ("", "", 0, "left and right do not differ"),
        ("tracking: {workers: 2}", "", 1, "platform.tracking.workers: absent in left, 2 in right\n  not allowed"),
        ("tracking: {workers: 2}", "allowed: [{path: platform, why: It is new.}]", 0, "allowed: It is new."),
    ],
)
def test_the_command_exits_with_1_where_a_difference_is_not_allowed(
    tmp_path: Path, right: str, allowed: str, code: int, said: str
) -> None:
    words = ["diff", "left", "right", "--project", str(project(tmp_path, "", right, allowed))]
    done = CliRunner().invoke(application(), words)
    assert (done.exit_code, said in done.output) == (code, True), done.output
    as_json = CliRunner().invoke(application(), [*words, "--json"])
    assert (as_json.exit_code, '"differences":' in as_json.output) == (code, True)
