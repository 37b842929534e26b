"""Local runs: steps in order, retries, time limits, and what ends a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from flights.errors import FlightsError, SettingsError
from flights.runs import Run, load_steps, run_locally


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(project: Path, *steps: dict[str, Any]) -> None:
    (project / "pipeline.yaml").write_text(yaml.safe_dump({"name": "made-up", "steps": list(steps)}))


def step(name: str, script: str, **other: Any) -> dict[str, Any]:
    return {"name": name, "command": ["sh", "-c", f"echo {name} >> tries; {script}"], **other}


def tries(project: Path) -> list[str]:
    return (project / "tries").read_text().split()


def test_steps_run_in_order_and_share_the_runs_folder(project: Path) -> None:
    share = 'echo "$PIPELINE_NAME $PIPELINE_RUN_ID" > "$PIPELINE_RUN_DIR/left"'
    write(project, step("one", share), step("two", 'test -s "$PIPELINE_RUN_DIR/left"'))
    said: list[str] = []
    folder = run_locally(said.append)
    assert tries(project) == ["one", "two"]
    assert [line.split(" in ")[0] for line in said] == ["one: done", "two: done"]
    assert (folder / "left").read_text().split() == ["made-up", folder.name]


def test_a_failing_step_is_tried_again_and_the_later_ones_run_once_it_succeeds(project: Path) -> None:
    write(project, step("one", "test $(wc -l < tries) -ge 3", retries=2), step("two", "true"))
    said: list[str] = []
    run_locally(said.append)
    assert tries(project) == ["one", "one", "one", "two"]
    assert said[:2] == [f"one: attempt {number} of 3 failed: exit code 1" for number in (1, 2)]


def test_a_step_that_fails_after_its_retries_ends_the_run(project: Path) -> None:
    write(project, step("one", "exit 7", retries=1), step("two", "true"))
    with pytest.raises(FlightsError, match=r"one: the step failed\n  why: exit code 7") as caught:
        run_locally(lambda _line: None)
    assert tries(project) == ["one", "one"]
    assert caught.value.exit_code == 1


def test_a_step_without_retries_is_tried_once(project: Path) -> None:
    write(project, step("one", "exit 1"))
    with pytest.raises(FlightsError):
        run_locally(lambda _line: None)
    assert tries(project) == ["one"]


def test_wrong_input_is_not_tried_again(project: Path) -> None:
    write(project, step("one", "exit 2", retries=5))
    with pytest.raises(FlightsError, match="exit code 2"):
        run_locally(lambda _line: None)
    assert tries(project) == ["one"]


def test_a_step_over_its_time_limit_fails(project: Path) -> None:
    write(project, step("one", "exec sleep 20", timeout=0.3))
    begun = time.monotonic()
    with pytest.raises(FlightsError, match=r"no end within 0\.3 s"):
        run_locally(lambda _line: None)
    assert time.monotonic() - begun < 10


def test_a_step_over_its_time_limit_leaves_nothing_running(project: Path) -> None:
    write(project, step("one", "(sleep 1; touch later); true", timeout=0.3))
    with pytest.raises(FlightsError):
        run_locally(lambda _line: None)
    time.sleep(1.5)
    assert not (project / "later").exists()


def test_a_command_that_is_not_installed_ends_the_run_with_an_error(project: Path) -> None:
    write(project, {"name": "one", "command": ["no-such-command"]})
    with pytest.raises(SettingsError, match=r"one: the command cannot be started\n  why: .*no-such-command"):
        run_locally(lambda _line: None)


@pytest.mark.parametrize("text", ["name: x", "steps: []", "- a list", "{not: [closed", ""])
def test_a_file_that_is_not_a_pipeline_is_refused(project: Path, text: str) -> None:
    (project / "pipeline.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"pipeline\.yaml: is not a pipeline"):
        load_steps()


def test_a_step_outside_a_run_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PIPELINE_RUN_DIR is ''"):
        Run.from_environment()
    monkeypatch.setenv("PIPELINE_RUN_DIR", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="gone"):
        Run.from_environment()


def test_a_step_reads_its_run_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in {"RUN_DIR": str(tmp_path), "RUN_ID": "r1", "NAME": "flights", "COMMIT": "abc"}.items():
        monkeypatch.setenv(f"PIPELINE_{name}", value)
    assert Run.from_environment() == Run(tmp_path, "r1", "flights", "abc")


def test_what_a_step_leaves_is_read_by_a_later_one_and_missing_files_are_named(tmp_path: Path) -> None:
    run = Run(tmp_path, "r1", "flights", "abc")
    run.write("search", {"best": 1})
    assert run.read("search") == {"best": 1}
    with pytest.raises(FlightsError, match=r"train\.json isn't there"):
        run.read("train")
