"""Exit codes: 0 fine, 1 it failed, 2 the input is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from flights import cli, source
from made_up import batch

PROJECT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def _unchanged_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the project's folder, within a run; return the run's folder."""
    shutil.copy(PROJECT / "configuration.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINE_RUN_DIR", str(tmp_path))
    monkeypatch.setattr(source, "read_package", batch)
    return tmp_path


def test_extract_and_validate_of_a_good_batch_end_with_0(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert [cli.main(["extract"]), cli.main(["validate"])] == [0, 0]
    assert "validate: schema and statistics of 3 months fit" in capsys.readouterr().out
    assert (run / "profile.json").is_file()


def test_a_refused_batch_ends_with_1_and_its_reasons(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = batch()
    monkeypatch.setattr(source, "read_package", lambda: {**tables, "flights": tables["flights"].assign(distance=3000)})
    assert [cli.main(["extract"]), cli.main(["validate"])] == [0, 1]
    error = capsys.readouterr().err
    assert error.startswith("error: validate: the batch is refused, 3 check(s) failed:")
    for month in ("2013-01", "2013-02", "2013-03"):
        assert f"statistics: {month}: mean_distance is 3000" in error


def test_a_step_before_its_turn_ends_with_1(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["validate"]) == 1
    assert f"in {run}/data\n  fix: run the step extract" in capsys.readouterr().err


def test_wrong_settings_end_with_2(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "configuration.yaml").write_text("seed: 1\nsead: 2\n")
    assert cli.main(["extract"]) == 2
    assert "missing or unknown: " in capsys.readouterr().err


def test_a_step_outside_a_run_ends_with_2(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIPELINE_RUN_DIR")
    assert run.is_dir()
    assert cli.main(["extract"]) == 2


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["replay", "--requests", "0"], ["replay", "--workers", "x"], ["restore", "1"]]
)
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: flights" in capsys.readouterr().err


@pytest.mark.parametrize(("configured", "code"), [(False, 2), (True, 1)])
def test_the_installed_command_gives_the_exit_code_to_the_shell(run: Path, configured: bool, code: int) -> None:
    if not configured:
        (run / "configuration.yaml").unlink()
    command = [Path(sys.executable).parent / "flights", "validate"]
    ended = subprocess.run(command, cwd=run, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr[:7]) == (code, "error: ")
