"""What is deployed names its commit, and any commit's data comes back from the platform's remote."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.host.conftest import ENVIRONMENT, ROOT, Platform
from tests.host.projects import Project, directory_hash

NOT_VERSIONED = "home/\nexamples\n__pycache__/\n.venv\n"


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def commit(platform: Platform) -> Iterator[str]:
    """The commit of a repository that the platform's stacks are in, as a user's are."""
    git(platform.root, "init", "-q", "-b", "main")
    (platform.root / ".git" / "info" / "exclude").write_text(NOT_VERSIONED)
    git(platform.root, "add", "-A")
    git(platform.root, "commit", "-qm", "The environments")
    yield git(platform.root, "rev-parse", "HEAD")
    shutil.rmtree(platform.root / ".git")


def last_update(platform: Platform) -> dict[str, Any]:
    folder = platform.root / "home" / ".pulumi" / "history" / "terrace" / ENVIRONMENT
    newest = max(folder.glob("*.history.json"), key=lambda file: file.name)
    update: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
    return update


def test_what_is_up_names_the_commit_that_it_came_from(platform: Platform, commit: str) -> None:
    result = platform.json("up", ENVIRONMENT, "--yes")
    assert set(result["summary"]) == {"same"}
    update = last_update(platform)
    assert (update["kind"], update["message"]) == ("update", "The environments")
    assert update["environment"].items() >= {"git.head": commit, "git.dirty": "false"}.items()
    found = platform.json("status", ENVIRONMENT)
    assert (found["deployed"]["commit"], found["deployed"]["dirty"]) == (commit, False)
    assert found["deployed"] == found["checkout"]
    assert found["current"] is True


def test_a_checkout_that_differs_from_what_is_deployed_is_told(platform: Platform, commit: str) -> None:
    before = platform.stack_file.read_text(encoding="utf-8")
    try:
        platform.stack_file.write_text(before + "# changed\n", encoding="utf-8")
        found = platform.json("status", ENVIRONMENT)
        assert found["current"] is False
        assert found["checkout"]["dirty"] is True
        said = platform.terrace("status", ENVIRONMENT).stdout
        assert f"this checkout, commit {commit[:12]} with uncommitted changes, differs" in said
    finally:
        platform.stack_file.write_text(before, encoding="utf-8")


@pytest.fixture
def repository(tmp_path: Path, outputs: dict[str, Any], platform: Platform) -> Iterator[tuple[Path, Project]]:
    """A developer's repository with DVC, whose remote is the platform's."""
    project = Project(ROOT / "examples" / "flights", {**platform.variables, **outputs["connection"]})
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    dvc(project, folder, "init", "-q")
    connection = outputs["connection"]
    section = "'remote \"platform\"'"
    shared = {"url": connection["DVC_REMOTE_URL"].rstrip("/"), "auth": "basic", "method": "PUT"}
    write(
        folder / ".dvc" / "config",
        {"core": {"remote": "platform"}, section: {**shared, "ssl_verify": connection["TERRACE_CA_FILE"]}},
    )
    account = {"user": connection["TERRACE_GATEWAY_USER"], "password": connection["TERRACE_GATEWAY_PASSWORD"]}
    write(folder / ".dvc" / "config.local", {section: account})
    yield folder, project
    (folder / ".dvc" / "config.local").unlink()


def write(path: Path, sections: dict[str, dict[str, str]]) -> None:
    parser = configparser.RawConfigParser()
    parser.read_dict(sections)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        parser.write(file)


def dvc(project: Project, folder: Path, *words: str) -> None:
    done = project.run("dvc", *words, folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_any_commits_data_is_restored_with_an_equal_hash(repository: tuple[Path, Project]) -> None:
    folder, project = repository
    versions = {
        "first": {"flights.csv": b"carrier,late\nUA,0\n", "deeper/weather.csv": b"temp\n50\n"},
        "second": {"flights.csv": b"carrier,late\nUA,1\n", "planes.csv": b"tailnum\nN1UA\n"},
    }
    commits = {}
    for name, files in versions.items():
        shutil.rmtree(folder / "data", ignore_errors=True)
        for path, content in files.items():
            (folder / "data" / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / "data" / path).write_bytes(content)
        dvc(project, folder, "add", "-q", "data")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", name)
        commits[name] = git(folder, "rev-parse", "HEAD")
    dvc(project, folder, "push", "-q", "--all-commits")
    for name in ("first", "second"):
        shutil.rmtree(folder / "data")
        shutil.rmtree(folder / ".dvc" / "cache")
        git(folder, "checkout", "-q", commits[name])
        dvc(project, folder, "pull", "-q")
        data = folder / "data"
        restored = {str(p.relative_to(data)): p.read_bytes() for p in data.rglob("*") if p.is_file()}
        assert restored == versions[name]
        assert directory_hash(data) == yaml.safe_load((folder / "data.dvc").read_text())["outs"][0]["md5"]
