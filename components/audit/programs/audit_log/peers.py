"""Who is at the other end of a connection within this machine: the kernel knows the user of each socket."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

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


def _address(host: str, port: int) -> str:
    """Return an IPv4 address as the kernel's table writes it: a number in the machine's order of bytes."""
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"
