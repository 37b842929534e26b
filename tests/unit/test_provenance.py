"""What is deployed hashes to a commit: the digest follows what decides the deployment, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from terrace.engine.git import commit_of
from terrace.provenance import Source, source_of

STACK = "config:\n  terrace:tier: 3\n"


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=T", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, content in {
        "Pulumi.yaml": "name: terrace\n",
        "stacks/__main__.py": "",
        "stacks/Pulumi.local.yaml": STACK,
        "stacks/Pulumi.dev.yaml": STACK,
        "terrace/platform.py": "one = 1\n",
        "components/locks/mlflow.txt": "mlflow==3\n",
        "ansible/roles/service/tasks/main.yml": "[]\n",
        "docs/page.md": "text\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "First things first")
    return tmp_path


def source(project: Path) -> Source:
    return source_of(project, "local", code=project)


def test_a_clean_checkout_is_its_commits(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    found = source(project)
    assert (found.commit, found.dirty) == (git(project, "rev-parse", "HEAD"), False)
    other = tmp_path_factory.mktemp("clone") / "again"
    git(project, "clone", "-q", str(project), str(other))
    assert source(other) == found
    assert str(found) == f"commit {found.commit[:12]}"


@pytest.mark.parametrize(
    ("path", "changes"),
    [
        ("terrace/platform.py", True),
        ("components/locks/mlflow.txt", True),
        ("ansible/roles/service/tasks/main.yml", True),
        ("ansible/roles/service/files/new", True),
        ("stacks/Pulumi.local.yaml", True),
        ("stacks/Pulumi.dev.yaml", False),
        ("docs/page.md", False),
        ("terrace/__pycache__/platform.pyc", False),
    ],
)
def test_the_digest_follows_what_decides_the_deployment(project: Path, path: str, changes: bool) -> None:
    before = source(project)
    (project / path).parent.mkdir(exist_ok=True)
    with (project / path).open("a") as file:
        file.write("# more\n")
    after = source(project)
    assert after.same(before) is not changes
    assert after.dirty
    assert str(after) == f"commit {after.commit[:12]} with uncommitted changes"


def test_the_salt_that_the_engine_adds_changes_nothing(project: Path) -> None:
    before = source(project)
    (project / "stacks/Pulumi.local.yaml").write_text(f"encryptionsalt: v1:abc\n{STACK}")
    assert source(project).same(before)


def test_without_a_repository_the_variables_of_the_pulumi_cli_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_GIT_HEAD", raising=False)
    assert commit_of(tmp_path) == ({}, "")
    assert str(source_of(tmp_path, "local", code=tmp_path)).startswith("no commit (digest ")
    monkeypatch.setenv("PULUMI_GIT_HEAD", "abc")
    assert commit_of(tmp_path) == ({"git.head": "abc"}, "")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _project: None, {"git.headName": "refs/heads/main", "git.dirty": "false"}),
        (lambda project: (project / "new").touch(), {"git.headName": "refs/heads/main", "git.dirty": "true"}),
        (lambda project: git(project, "checkout", "-q", "--detach"), {"git.dirty": "false"}),
    ],
)
def test_a_repository_is_told_under_the_keys_of_the_pulumi_cli(
    project: Path, change: Callable[[Path], object], told: dict[str, str]
) -> None:
    change(project)
    assert commit_of(project / "stacks") == (
        {"git.head": git(project, "rev-parse", "HEAD"), **told},
        "First things first",
    )
