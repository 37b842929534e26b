"""The demo's way through the pipelines service and the example project's own command."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from terrace import demo
from terrace.demo import Project, find_uv
from terrace.errors import InputError, OperationError

CONNECTION = {
    "PIPELINES_URL": "https://127.0.0.1:8443/pipelines/",
    "PIPELINES_USER": "pipelines",
    "PIPELINES_PASSWORD": "hush-hush-hush",
    "TERRACE_CA_FILE": "/etc/terrace/local/ca.crt",
}


@dataclass
class Run:
    """A run as the service tells it."""

    id: str
    digest: str
    ended: bool


@dataclass
class Service:
    """A pipelines service that notes what it is asked."""

    going_on: list[Run] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __call__(self, *account: Any) -> Service:
        self.asked.append(("connect", str(account[-1])))
        return self

    def put(self, name: str, _bundle: Any) -> None:
        self.asked.append(("put", name))

    def runs(self, _name: str) -> list[Run]:
        return self.going_on

    def start(self, name: str) -> Run:
        self.asked.append(("start", name))
        return Run("new", "", ended=False)

    def wait(self, run_id: str, *_on_step: Any) -> Run:
        self.asked.append(("wait", run_id))
        return Run(run_id, "", ended=True)

    def check(self, run: Run) -> None:
        self.asked.append(("check", run.id))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipeline.yaml").write_text("name: flights\nsteps: [{name: validate, command: ['true']}]\n")
    return tmp_path


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    fake = Service()
    monkeypatch.setattr(demo, "PipelineClient", fake)
    return fake


def test_the_project_is_sent_and_its_pipeline_run(folder: Path, service: Service) -> None:
    run = Project(folder, CONNECTION).run_pipeline(lambda _: None)
    assert run.id == "new"
    assert service.asked == [
        ("connect", "/etc/terrace/local/ca.crt"),
        ("put", "flights"),
        ("start", "flights"),
        ("wait", "new"),
        ("check", "new"),
    ]


def test_a_run_of_the_same_content_is_joined(folder: Path, service: Service) -> None:
    from terrace.pipelines import make_bundle

    service.going_on = [Run("old", "", ended=True), Run("running", make_bundle(folder).digest, ended=False)]
    assert Project(folder, CONNECTION).run_pipeline(lambda _: None).id == "running"
    assert ("start", "flights") not in service.asked


def test_a_run_of_other_content_is_waited_for_first(folder: Path, service: Service) -> None:
    service.going_on = [Run("running", "other", ended=False)]
    assert Project(folder, CONNECTION).run_pipeline(lambda _: None).id == "new"
    assert [ask for ask in service.asked if ask[0] in ("wait", "start")] == [
        ("wait", "running"),
        ("start", "flights"),
        ("wait", "new"),
    ]


def test_a_platform_without_pipelines_is_said(folder: Path) -> None:
    with pytest.raises(InputError, match="no pipelines service") as refused:
        Project(folder, {"PIPELINES_URL": "https://x"}).run_pipeline(lambda _: None)
    assert "PIPELINES_USER, PIPELINES_PASSWORD" in (refused.value.why or "")


def _uv(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_the_replay_gets_the_connection_and_its_answer_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", "/elsewhere")
    said = json.dumps({"auc": 0.7})
    _uv(folder, monkeypatch, f'test -z "$VIRTUAL_ENV" && test "$PIPELINES_USER" = pipelines && echo \'{said}\'')
    assert Project(folder, CONNECTION).replay(folder) == {"auc": 0.7}


def test_a_failed_replay_is_told_without_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _uv(folder, monkeypatch, 'echo "refused: $PIPELINES_PASSWORD" >&2; exit 1')
    with pytest.raises(OperationError, match="could not be replayed") as failed:
        Project(folder, CONNECTION).replay(folder)
    assert failed.value.why == "refused: [secret]"


def test_a_replay_without_an_end_is_ended(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "REPLAY_SECONDS", 0.2)
    _uv(folder, monkeypatch, "exec sleep 60")
    with pytest.raises(OperationError, match=r"no result after 0\.2 s"):
        Project(folder, CONNECTION).replay(folder)


def test_uv_is_found_where_make_puts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(OperationError, match="uv is not installed"):
        find_uv(tmp_path)
    private = tmp_path / ".uv" / "bin" / "uv"
    private.parent.mkdir(parents=True)
    private.touch()
    assert find_uv(tmp_path) == str(private)
