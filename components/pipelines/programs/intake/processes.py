"""Finding and ending the processes of a run, the forgotten ones too."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ..contract.records import ProcessGroup

PROC = Path("/proc")
RUN_VARIABLE = "PIPELINE_RUN_ID"
# Ending a process takes the kernel a moment, and one that is being ended may still start another.
ROUNDS = 20
PAUSE_SECONDS = 0.05


class _Stat(NamedTuple):
    state: str
    group: int
    started: int


def group_led_by(pid: int) -> ProcessGroup:
    """Return the group that ``pid``, just started, leads."""
    stat = _stat(pid)
    return ProcessGroup(id=pid, started=stat.started if stat else None)


def end_run(run_id: str, group: ProcessGroup | None) -> None:
    """Kill whatever a run has left: its group's processes, and those that left the group but carry the run's id.

    A group counts as the run's only while its leader started when the run says, because the system gives numbers
    of ended processes to new ones.
    """
    for _ in range(ROUNDS):
        pids = _carrying(run_id) | (_members(group) if group else set())
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)


def _members(group: ProcessGroup) -> set[int]:
    leader = _stat(group.id)
    if leader is None or leader.started != group.started:
        return set()
    return {pid for pid in _pids() if (stat := _stat(pid)) and stat.group == group.id and stat.state not in "ZX"}


def _carrying(run_id: str) -> set[int]:
    wanted = f"{RUN_VARIABLE}={run_id}".encode()
    found = set()
    for pid in _pids():
        with suppress(OSError):
            if wanted in (PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.add(pid)
    return found - {os.getpid()}


def _pids() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def _stat(pid: int) -> _Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    # The second field is the program's name in brackets and may hold spaces and brackets itself (proc(5)).
    fields = text.rpartition(")")[2].split()
    return _Stat(fields[0], int(fields[2]), int(fields[19]))
