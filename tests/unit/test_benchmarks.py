"""Benchmarks that make platforms of their own: an interruption ends what runs in good order, and cleans up after it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import figures
from tests.host.machine import wait_for

ROOT = Path(__file__).parents[2]
# The command line: takes a moment to end when it is interrupted, and notes that it did.
COMMAND = """\
#!/usr/bin/python3
import pathlib, time
here = pathlib.Path(__file__).parent
try:
    here.joinpath("begun").touch()
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)
    here.joinpath("ended").touch()
"""
BENCHMARK = """
import pathlib, signal, sys
from benchmarks import figures
signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell does with what it starts in the background
figures.TERRACE = pathlib.Path(sys.argv[1])
figures.end_in_order()
try:
    figures.watched("up", "case")
finally:
    print("removed", figures.TERRACE.with_name("ended").exists(), flush=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> Path:
    """A command line of the tests' own."""
    program = tmp_path / "terrace"
    program.write_text(COMMAND)
    program.chmod(0o755)
    return program


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_was_made_is_removed_after_the_command_has_ended(command: Path, number: signal.Signals) -> None:
    words = [sys.executable, "-c", BENCHMARK, str(command)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as benchmark:
        wait_for(command.with_name("begun").exists, 30)
        benchmark.send_signal(number)
        said, _ = benchmark.communicate(timeout=30)
    assert said == "removed True\n"
    assert benchmark.returncode != 0


def test_a_command_that_fails_ends_the_benchmark(command: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command.write_text("#!/bin/sh\nexit 3\n")
    monkeypatch.setattr(figures, "TERRACE", command)
    with pytest.raises(RuntimeError, match="terrace up ended with 3"):
        figures.watched("up", "case")
