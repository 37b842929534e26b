"""Waits at the door of one person's workbench and, when somebody knocks, becomes its Jupyter server.

Runs as the person's own user, and costs next to nothing until then. ``WORKBENCH_DOOR`` is a Unix socket, ``unix:PATH``,
in a folder that the gateway alone may enter, or ``ADDRESS:PORT`` of a pod, which the gateway alone reaches;
``WORKBENCH_PYTHON`` runs ``workbench_server.py`` beside this file. Who knocked waits in the socket's queue until the
server answers. When the server ends, because nobody works or by a fault, this
program is started again.
"""

from __future__ import annotations

import os
import select
import socket
from pathlib import Path

QUEUE = 128
UNIX = "unix:"


def open_door(where: str) -> socket.socket:
    """Return the socket, listening; one of the file system is for its owner and its group."""
    if not where.startswith(UNIX):
        address, port = where.rsplit(":", 1)
        return socket.create_server((address, int(port)), backlog=QUEUE)
    path = Path(where.removeprefix(UNIX))
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    door.bind(str(path))
    path.chmod(0o660)
    door.listen(QUEUE)
    return door


def command(python: str, door: socket.socket) -> list[str]:
    """Return the server's command, which is given the open socket."""
    door.set_inheritable(True)
    return [python, "-I", str(Path(__file__).with_name("workbench_server.py")), str(door.fileno())]


def main() -> None:
    """Wait, then become the server."""
    door = open_door(os.environ["WORKBENCH_DOOR"])
    print("asleep until somebody comes", flush=True)
    select.select([door], [], [])
    words = command(os.environ["WORKBENCH_PYTHON"], door)
    os.execv(words[0], words)  # noqa: S606  # becomes the server, without a shell between


if __name__ == "__main__":
    main()
