"""Describing, packing, and sending pipelines."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from terrace import pipelines
from terrace.errors import InputError, InputErrors, OperationError
from terrace.pipelines import PipelineClient, PipelineDefinition, PipelinesError, make_bundle

GOOD = """\
name: flights
description: Late or not?
schedule: "0 6 * * 1"
timeout: 3600
steps:
  - name: extract
    command: [uv, run, flights, extract]
    retries: 1
    timeout: 600
  - name: train
    command: [uv, run, flights, train]
"""


def write(folder: Path, text: str) -> Path:
    (folder / "pipeline.yaml").write_text(text)
    return folder


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def names(bundle: pipelines.Bundle) -> dict[str, int]:
    with tarfile.open(fileobj=io.BytesIO(bundle.content)) as tar:
        return {member.name: member.mode for member in tar}


def test_a_definition_is_read_with_its_defaults(tmp_path: Path) -> None:
    definition = PipelineDefinition.load(write(tmp_path, GOOD))
    assert (definition.name, definition.schedule, definition.timeout) == ("flights", "0 6 * * 1", 3600)
    extract, train = definition.steps
    assert extract.command == ("uv", "run", "flights", "extract")
    assert (extract.retries, extract.timeout, train.retries, train.timeout) == (1, 600, 0, None)


@pytest.mark.parametrize(
    ("old", "new", "messages"),
    [
        ("retries: 1", "retry: 1", ["8:5: steps.0.retry: there is no such key\n  fix: did you mean 'retries'?"]),
        ("schedule", "cron", ["3:1: cron: there is no such key\n  fix: allowed: name, description,"]),
        ("retries: 1", "retries: one", ["8:14: steps.0.retries: Input should be a valid integer"]),
        ("retries: 1", "retries: 11", ["8:14: steps.0.retries: Input should be less than or equal to 10"]),
        ("timeout: 3600", "timeout: 0", ["4:10: timeout: Input should be greater than or equal to 1"]),
        ("name: train", "name: extract", ["6:3: steps: each step needs a name of its own; used twice: extract"]),
        ("name: flights", "name: Flights", ["1:7: name: 'Flights' is not a name\n  fix: small letters"]),
        ("flights, extract", "3, extract", ["7:24: steps.0.command.2: must be text, not 3\n  fix: put it in quotes"]),
        ("[uv, run, flights, extract]", "[]", ["7:14: steps.0.command: List should have at least 1 item"]),
        ("[uv, run, flights, extract]", '[""]', ["7:14: steps.0.command: the first word is the program"]),
        ("[uv, run, flights, extract]", "uv run", ["7:14: steps.0.command: Input should be a valid list"]),
        ('"0 6 * * 1"', '"0 25 * * 1"', ["3:11: schedule: hour 25 is not between 0 and 23"]),
        ("name: flights\n", "", ["1:1: name: is missing"]),
        ("timeout: 3600", "name: twice", ["4:1: "]),
        ("steps:", "steps: [", [": "]),
        (GOOD, "- a\n", ["1:1: a pipeline is a mapping"]),
        (GOOD, "", ["1:1: a pipeline is a mapping"]),
        (GOOD, "x: " + "y" * 300_000, ["1:1: larger than 256 KiB"]),
        ("timeout: 3600\n", "timeout: x\nextra: 1\n", ["4:10: timeout: ", "5:1: extra: "]),
    ],
)
def test_all_errors_are_told_with_their_places(tmp_path: Path, old: str, new: str, messages: list[str]) -> None:
    assert old in GOOD
    with pytest.raises(InputErrors) as error:
        PipelineDefinition.load(write(tmp_path, GOOD.replace(old, new, 1)))
    assert len(error.value.errors) == len(messages)
    for each, message in zip(error.value.errors, messages, strict=True):
        assert str(each).startswith(f"{tmp_path}/pipeline.yaml:")
        assert message in str(each)


def test_no_definition_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"There is no pipeline.yaml"):
        PipelineDefinition.load(tmp_path)
    (tmp_path / "pipeline.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        PipelineDefinition.load(tmp_path)


def test_a_bundle_holds_what_git_knows_and_what_it_does_not_ignore(tmp_path: Path) -> None:
    project = tmp_path / "repository" / "project"
    project.mkdir(parents=True)
    git(project.parent, "init", "-q")
    write(project, GOOD)
    for path in ("known", "gone", "ignored", ".gitignore"):
        (project / path).write_text("ignored\n")
    (project.parent / "elsewhere").write_text("")
    assert make_bundle(project).commit == "uncommitted-dirty"
    git(project, "add", "known", "gone", "pipeline.yaml", ".gitignore")
    git(project, "commit", "-qm", "First")
    head = git(project, "rev-parse", "HEAD").strip()
    assert make_bundle(project).commit == head

    (project / "gone").unlink()
    (project / "new").write_text("")
    (project / "new").chmod(0o755)
    (project / ".venv").mkdir()
    (project / ".venv" / "x").write_text("")
    bundle = make_bundle(project)

    assert names(bundle) == {".gitignore": 0o644, "known": 0o644, "new": 0o755, "pipeline.yaml": 0o644}
    assert bundle.commit == f"{head}-dirty"


def test_without_git_a_bundle_holds_all_but_environments_and_caches(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    for path in ("src/a.py", "src/__pycache__/a.pyc", ".venv/bin/python", ".mypy_cache/x", "data/table"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("")
    bundle = make_bundle(tmp_path)
    assert set(names(bundle)) == {"pipeline.yaml", "src/a.py", "data/table"}
    assert bundle.commit == "unversioned"


def test_the_same_files_give_the_same_bundle(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, GOOD)
    (tmp_path / "b" / "pipeline.yaml").touch()
    one, two = make_bundle(tmp_path / "a"), make_bundle(tmp_path / "b")
    assert one == two
    (tmp_path / "b" / "pipeline.yaml").chmod(0o755)
    assert make_bundle(tmp_path / "b").digest != one.digest


def test_links_are_followed_only_inside(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "inside").symlink_to("pipeline.yaml")
    assert set(names(make_bundle(tmp_path))) == {"pipeline.yaml", "inside"}
    (tmp_path / "outside").symlink_to("/etc/passwd")
    with pytest.raises(InputError, match="neither a file nor a link to one inside"):
        make_bundle(tmp_path)


def test_what_git_refuses_is_not_guessed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, GOOD)
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    with pytest.raises(OperationError, match="Git can't tell the project's files"):
        make_bundle(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(OperationError, match="Git is not installed"):
        make_bundle(tmp_path)


def test_a_definition_that_git_ignores_is_said(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (write(tmp_path, GOOD) / ".gitignore").write_text("*.yaml\n")
    with pytest.raises(InputError, match="Git ignores it"):
        make_bundle(tmp_path)


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="begins with https://"):
        PipelineClient("file:///etc", "u", "p")


class Flaky(PipelineClient):
    """A client whose service answers what the test says."""

    def __init__(self, *answers: int | str) -> None:
        super().__init__("http://localhost:1", "u", "p")
        self.answers = list(answers)

    def run(self, run_id: str) -> pipelines.Run:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            raise PipelinesError(answer, "no answer")
        return pipelines.Run.model_validate(
            {"id": run_id, "pipeline": "p", "commit": "c", "digest": "d", "trigger": "request", "state": answer}
        )


def test_waiting_outlasts_a_restart_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Flaky("running", 0, 502, 503, "running", "lost").wait("r", poll_seconds=0).state == "lost"
    monkeypatch.setattr(pipelines, "PATIENCE_SECONDS", 0.05)
    with pytest.raises(PipelinesError, match="no answer"):
        Flaky(0).wait("r", poll_seconds=0.01)
    with pytest.raises(PipelinesError) as error:
        Flaky("running", 404).wait("r", poll_seconds=0)
    assert error.value.status == 404
