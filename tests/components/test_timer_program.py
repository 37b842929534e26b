"""The pipelines service as the program that is shipped: killed, ended, started again."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.timer_server import PASSWORD, SECRET, Program, project, python, wait_for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Program]:
    server = Program(tmp_path)
    yield server
    server.stop()


def test_a_run_of_a_killed_service_is_lost_and_its_processes_end(server: Program, tmp_path: Path) -> None:
    server.start()
    source = "import os, time; print(os.getpid()); time.sleep(99)"
    steps: list[dict[str, object]] = [
        {"name": "a", "command": python(source)},
        {"name": "b", "command": ["true"]},
    ]
    server.client.put("p", project(tmp_path / "p", "p", *steps))
    run = server.client.start("p")
    wait_for(lambda: server.log(run, "a").endswith("\n"))
    pid = int(server.log(run, "a"))
    server.end(signal.SIGKILL)
    assert Path(f"/proc/{pid}").exists(), "the step should outlive a killed service until it is back"

    server.start()

    wait_for(lambda: not Path(f"/proc/{pid}").exists())
    run = server.client.run(run.id)
    assert run.state == "lost"
    assert [step.state for step in run.steps] == ["lost", "skipped"]
    assert server.metric('terrace_pipeline_last_run_state{pipeline="p",state="lost"}') == 1
    assert server.metric('terrace_pipeline_last_run_succeeded{pipeline="p"}') == 0
    assert server.client.start("p").state == "queued", "a lost run must not keep the next from starting"


def test_sigterm_cancels_the_run_and_ends_the_service(server: Program, tmp_path: Path) -> None:
    server.start()
    step = {"name": "a", "command": python("import time; print('on'); time.sleep(99)")}
    server.client.put("p", project(tmp_path / "p", "p", step))
    run = server.client.start("p")
    wait_for(lambda: server.log(run, "a") == "on\n")
    code = server.end(signal.SIGTERM)
    assert code == -signal.SIGTERM, "uvicorn ends by the signal that it was asked with, once all is put away"
    server.start()
    assert server.client.run(run.id).state == "cancelled"


def test_a_second_service_on_the_same_data_does_not_start(server: Program, tmp_path: Path) -> None:
    server.start()
    other = Program(tmp_path / "other")
    other.data = server.data
    assert other.launch().wait(30) == 2
    assert "another instance of the service works on" in other.output()


def test_a_wrong_configuration_is_said_without_its_values(server: Program) -> None:
    server.settings = {"PIPELINES_PORT": "70000", "PIPELINES_PROJECT_VARIABLES": "STORE_PASSWORD"}
    assert server.launch().wait(30) == 2
    assert "PIPELINES_PORT: Input should be less than or equal to 65535" in server.output()
    assert SECRET not in server.output()
    assert PASSWORD not in server.output()
