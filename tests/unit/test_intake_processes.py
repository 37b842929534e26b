"""Finding a run's processes again, and no others."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.pipelines.programs.intake.processes import end_run, group_led_by


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "99"], start_new_session=True, env={"PATH": "/usr/bin:/bin"})
    yield process
    process.kill()
    process.wait()


def test_a_group_is_ended_by_its_number_and_start(sleeper: subprocess.Popen[bytes]) -> None:
    end_run("none", group_led_by(sleeper.pid))
    assert sleeper.wait(5) == -signal.SIGKILL


def test_a_group_whose_number_was_given_to_another_is_left_alone(sleeper: subprocess.Popen[bytes]) -> None:
    group = group_led_by(sleeper.pid)
    assert group.started is not None
    end_run("none", group.model_copy(update={"started": group.started - 1}))
    assert sleeper.poll() is None


def test_a_process_that_carries_the_run_is_ended_wherever_it_went() -> None:
    process = subprocess.Popen(["/usr/bin/sleep", "99"], start_new_session=True, env={"PIPELINE_RUN_ID": "p-1"})
    while not Path(f"/proc/{process.pid}/environ").read_bytes():  # the kernel shows it a moment after the start
        time.sleep(0.01)
    end_run("p-2", None)
    assert process.poll() is None
    end_run("p-1", None)
    assert process.wait(5) == -signal.SIGKILL


def test_a_process_that_has_ended_has_no_start() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    group = group_led_by(process.pid)
    assert group.started is None
    end_run("none", group)
