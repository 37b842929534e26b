"""Finds who listens on a TCP port of this machine, as Linux tells every user, and whether another machine's answers."""

from __future__ import annotations

import pwd
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"  # the state of a listening socket in /proc/net/tcp
CONNECT_SECONDS = 10
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


@dataclass(frozen=True)
class Holder:
    """Who holds a port.

    Attributes:
        user: The name of the user that the socket belongs to.
        process: ``<program> (pid <number>)``; empty where this user may not see it.
    """

    user: str
    process: str = ""

    def __str__(self) -> str:
        return f"{self.process} of {self.user}" if self.process else f"a process of {self.user}"


def listeners(wanted: Iterable[int]) -> dict[int, Holder]:
    """Return who listens on each of the ``wanted`` ports; free ports are left out."""
    numbers = set(wanted)
    return {port: Holder(_user(uid), _process(inode)) for port, uid, inode in _sockets() if port in numbers}


def unreachable(address: str, port: int) -> str:
    """Return why nothing answers at a port of another machine; empty where something does."""
    try:
        socket.create_connection((address, port), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        return str(error)
    return ""


def _sockets() -> Iterator[tuple[int, int, str]]:
    """Yield port, user id, and inode of every listening socket."""
    for table in TABLES:
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING:
                yield int(fields[1].rpartition(":")[2], 16), int(fields[7]), fields[9]


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _process(inode: str) -> str:
    wanted = f"socket:[{inode}]"
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) == wanted for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text(encoding='utf-8').strip()} (pid {folder.name})"
        except OSError:  # it ended meanwhile, or belongs to another user
            continue
    return ""
