"""Who is at the other end of a connection within this machine: the kernel knows the user of each socket."""

from __future__ import annotations

import pwd
import socket
import sys
from pathlib import Path

PREFIX = "terrace-"
TABLE = Path("/proc/net/tcp")
ESTABLISHED = "01"  # only then is the column of users true; it is 0 for a socket that nobody holds any more


def user_of(peer: tuple[str, int], own: tuple[str, int], table: Path = TABLE) -> int | None:
    """Return the number of the user whose socket is ``peer``, connected to ``own``; None where there is none."""
    wanted = [_address(*peer), _address(*own), ESTABLISHED]
    with table.open(encoding="ascii") as lines:
        for line in lines:
            words = line.split()
            if words[1:4] == wanted:
                return int(words[7])
    return None


def source_of(environment: str, uid: int | None) -> str | None:
    """Return what a user of the machine is called as a source of events; None for one that can't be any.

    That is ``root``, or what follows the environment's name. It may be a user of another environment whose name begins
    with this one's, or a person's, so the log takes events of names alone that it was told.
    """
    if uid == 0:
        return "root"
    try:
        name = pwd.getpwuid(uid).pw_name if uid is not None else ""
    except KeyError:
        return None
    own = f"{PREFIX}{environment}-"
    return name.removeprefix(own) if name.startswith(own) else None


def _address(host: str, port: int) -> str:
    """Return an IPv4 address as the kernel's table writes it: a number in the machine's order of bytes."""
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
