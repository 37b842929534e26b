#!/usr/bin/python3
"""Becomes a program with the environment and the limits of a service.

Call: ``launch.py ENVIRONMENT.json MEMORY_MB COMMAND…``
ENVIRONMENT.json maps names to values and is readable by the service's user alone, so nothing secret stands in an
argument or in a supervisor's configuration. MEMORY_MB limits the data of one process; 0 sets no limit.
"""

import json
import os
import resource
import sys
from pathlib import Path

MEBIBYTE = 1024 * 1024


def main() -> None:
    """Set the limits and become the command."""
    file, memory, *command = sys.argv[1:]
    environment = json.loads(Path(file).read_text(encoding="utf-8"))
    if int(memory):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory) * MEBIBYTE,) * 2)
    os.umask(0o077)
    variables = {"PATH": os.defpath, "LANG": "C.UTF-8", **environment}
    os.execvpe(command[0], command, variables)  # noqa: S606  # becomes the program, without a shell between


if __name__ == "__main__":
    main()
