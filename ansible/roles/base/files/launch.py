#!/usr/bin/python3
"""Becomes a program with the environment and the limits of a service.

Call: ``launch.py ENVIRONMENT.json MEMORY_MB COMMAND…``
ENVIRONMENT.json maps names to values and is readable by the service's user alone, so nothing secret stands in an
argument or in a supervisor's configuration. MEMORY_MB limits the data of one process; 0 sets no limit.
"""

import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path

MEBIBYTE = 1024 * 1024


def end_leftovers() -> None:
    """End what a killed program of this user has left behind: processes whose group's leader is gone.

    They may hold its port, as nginx's workers do. systemd does this by itself, supervisor doesn't. Only for a user
    that is the service's alone.
    """
    if os.getuid() == 0:
        return
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            if folder.stat().st_uid == os.getuid() and not alive(group_of(int(folder.name))):
                os.kill(int(folder.name), signal.SIGKILL)


def group_of(process: int) -> int:
    """Return the number of the process's group, which is that of its leader."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[2])


def alive(process: int) -> bool:
    """Return whether the process is there and not merely waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main() -> None:
    """Set the limits and become the command."""
    file, memory, *command = sys.argv[1:]
    environment = json.loads(Path(file).read_text(encoding="utf-8"))
    if int(memory):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory) * MEBIBYTE,) * 2)
    os.umask(0o077)
    if os.getpgrp() != os.getpid():
        os.setpgid(0, 0)  # a setup step's caller may be gone already
    end_leftovers()
    variables = {"PATH": os.defpath, "LANG": "C.UTF-8", **environment}
    os.execvpe(command[0], command, variables)  # noqa: S606  # becomes the program, without a shell between


if __name__ == "__main__":
    main()
