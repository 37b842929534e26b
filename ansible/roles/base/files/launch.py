#!/usr/bin/python3
"""Becomes a program with the environment and the limits of a service: launch.py ENVIRONMENT.json MEMORY_MB COMMAND…

ENVIRONMENT.json maps names to values and is readable by the service's user alone, so nothing secret stands in an
argument or in a supervisor's configuration. MEMORY_MB limits the data of one process; 0 sets no limit.
"""

import json
import os
import resource
import sys

MEBIBYTE = 1024 * 1024


def main() -> None:
    """Set the limits and become the command."""
    file, memory, *command = sys.argv[1:]
    with open(file, encoding="utf-8") as stream:
        environment = json.load(stream)
    if int(memory):
        resource.setrlimit(resource.RLIMIT_DATA, (int(memory) * MEBIBYTE,) * 2)
    os.umask(0o077)
    os.execvpe(command[0], command, {"PATH": os.defpath, "LANG": "C.UTF-8", **environment})


if __name__ == "__main__":
    main()
