"""The workflow files that a user's repository gets: valid, started by what they should be, and calling what exists."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
GITHUB = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
GITLAB = ROOT / ".gitlab-ci.yml"


def read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    return content


def validate(schema: str, path: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("check-jsonschema"), "--builtin-schema", f"vendor.{schema}"]
    return subprocess.run([*command, path], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("schema", "path"), [*(("github-workflows", path) for path in GITHUB), ("gitlab-ci", GITLAB)])
def test_the_files_fit_the_published_schemas(schema: str, path: Path, tmp_path: Path) -> None:
    done = validate(schema, path)
    assert done.returncode == 0, done.stdout + done.stderr
    broken = tmp_path / path.name
    broken.write_text(path.read_text(encoding="utf-8").replace("runs-on:", "run-on:").replace("script:", "scripts:"))
    assert validate(schema, broken).returncode != 0


def test_checks_run_on_push_pull_request_and_by_hand() -> None:
    assert set(read(ROOT / ".github/workflows/checks.yaml")["on"]) == {"push", "pull_request", "workflow_dispatch"}
    assert "rules" not in read(GITLAB)["checks"], "GitLab's checks run in every pipeline"


def test_the_model_is_also_trained_by_comment_release_and_schedule() -> None:
    started_by = set(read(ROOT / ".github/workflows/model.yaml")["on"])
    assert started_by == {"push", "pull_request", "issue_comment", "release", "schedule", "workflow_dispatch"}
    rules = [rule.get("if", "") for rule in read(GITLAB)["model"]["rules"]]
    assert any(all(source in rule for source in ("schedule", "trigger", "web")) for rule in rules)
    assert "$CI_COMMIT_TAG" in rules


def test_only_the_job_that_runs_no_code_of_the_change_may_write() -> None:
    for path in GITHUB:
        content = read(path)
        assert content["permissions"] == {"contents": "read"}
        for name, job in content["jobs"].items():
            checks_out = any("actions/checkout" in step.get("uses", "") for step in job["steps"])
            assert not (checks_out and "permissions" in job), f"{path.name}: {name}"


def test_actions_are_pinned_by_commit() -> None:
    steps = [step for path in GITHUB for job in read(path)["jobs"].values() for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)] == []


def commands() -> Iterator[str]:
    for path in GITHUB:
        for job in read(path)["jobs"].values():
            yield from (step["run"] for step in job["steps"] if "run" in step)
    for job in (read(GITLAB)["checks"], read(GITLAB)["model"]):
        yield from job["script"]


def test_what_they_call_is_there() -> None:
    targets = set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))
    made = {word.removeprefix("make ") for word in commands() if word.startswith("make ")}
    assert made == {"check", "fast", "model", "model-tests"}
    assert made <= targets
    others = r"\.venv/bin/terrace diff staging prod$|cat examples/flights/\.rehearsal/report\.md |gh pr comment "
    known = re.compile(f"make |{others}")
    assert [command for command in commands() if not known.match(command)] == []
