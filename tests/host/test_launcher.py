"""The program that becomes every service: its environment, its limits, and what it clears away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PYTHON = "/usr/bin/python3"
USER = 64999
LAUNCHER = Path(__file__).parents[2] / "ansible" / "roles" / "base" / "files" / "launch.py"
# A program whose worker goes on without it, as nginx's workers do.
MASTER = "import os, time; worker = os.fork(); worker and print(worker, flush=True); time.sleep(60)"


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that any user may enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def launch(folder: Path, environment: dict[str, str], memory_mb: int, *command: str) -> str:
    file = folder / "environment.json"
    file.write_text(json.dumps(environment))
    file.chmod(0o644)
    # As a user that nothing else runs as: the launcher ends what has lost its leader among its user's processes.
    done = subprocess.run(
        [PYTHON, "-", file, str(memory_mb), *command],
        input=LAUNCHER.read_text(),
        user=USER,
        group=USER,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_a_service_sees_its_environment_and_nothing_else(folder: Path) -> None:
    shown = launch(folder, {"SECRET": "hush"}, 0, "/usr/bin/env").splitlines()
    assert sorted(line.partition("=")[0] for line in shown) == ["LANG", "PATH", "SECRET"]
    assert "SECRET=hush" in shown


def test_a_service_is_limited_in_memory_and_its_files_are_its_own(folder: Path) -> None:
    shown = launch(folder, {}, 100, "/bin/sh", "-c", "ulimit -d; umask")
    assert shown.split() == [str(100 * 1024), "0077"]
    assert launch(folder, {}, 0, "/bin/sh", "-c", "ulimit -d").strip() != str(100 * 1024)


def test_what_a_killed_program_left_behind_is_ended(folder: Path) -> None:
    master = subprocess.Popen(
        [PYTHON, "-c", MASTER], stdout=subprocess.PIPE, text=True, process_group=0, user=USER, group=USER, cwd="/"
    )
    assert master.stdout
    worker = int(master.stdout.readline())
    launch(folder, {}, 0, "/bin/true")
    assert master.poll() is None, "a program that lives keeps its workers"
    os.kill(worker, 0)
    master.send_signal(signal.SIGKILL)
    master.wait()
    os.kill(worker, 0)
    launch(folder, {}, 0, "/bin/true")
    deadline = time.monotonic() + 5
    while _runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    master.stdout.close()


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
