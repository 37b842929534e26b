"""A power cut, as far as processes go: all that an environment runs, and what works on it, ends at the same moment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.host.conftest import Platform
from tests.host.machine import processes


def begin(platform: Platform, *arguments: str) -> subprocess.Popen[str]:
    """Start ``terrace <arguments>`` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "terrace", *arguments, "--project", str(platform.root)],
        env=platform.variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def cut(environment: str, *commands: subprocess.Popen[str]) -> None:
    """Kill the commands with their processes, the environment's supervisor, and every process of its users.

    All are stopped before the first is killed: a cut leaves nobody the time to note that another has ended.
    """
    supervisor = int(Path(f"/run/terrace/{environment}/supervisord.pid").read_text(encoding="ascii"))
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for command in commands:
            os.killpg(command.pid, number)
        os.kill(supervisor, number)
        _signal_all(environment, number)
    deadline = time.monotonic() + 30
    while running := processes(environment):  # what was being started while this read them
        assert time.monotonic() < deadline, running
        _signal_all(environment, signal.SIGKILL)
    for command in commands:
        command.communicate(timeout=30)


def _signal_all(environment: str, number: signal.Signals) -> None:
    for process in processes(environment):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
