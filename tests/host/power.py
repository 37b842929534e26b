"""A power cut, as far as processes go: all that an environment runs, and what works on it, ends at the same moment."""

from __future__ import annotations

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
    """Kill the commands with their processes, the environment's supervisor, and every process of its users."""
    for command in commands:
        os.killpg(command.pid, signal.SIGKILL)
    os.kill(int(Path(f"/run/terrace/{environment}/supervisord.pid").read_text(encoding="ascii")), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while running := processes(environment):  # what is being started while this reads comes up in the next round
        assert time.monotonic() < deadline, running
        for process in running:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    for command in commands:
        command.communicate(timeout=30)
