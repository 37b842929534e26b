"""M32: backups lie off the host."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.texts import plain_paths

HOSTS_OWN = "/var/backups/"
MACHINE = re.compile(r"[^/@]+@([^/:]+):/")  # how the folder of another machine begins, by SSH


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    place = resource.variable("BACKUP_PLACE")
    if f"{plain_paths(place.text)}/".startswith(HOSTS_OWN):
        yield Violation(place.path, "it is the default, on the host's own disk unless another one is mounted there")
    elif (machine := MACHINE.match(place.text)) and _is_here(machine[1], resource):
        yield Violation(place.path, "it is the host itself, by SSH")


def _is_here(machine: str, resource: Resource) -> bool:
    """Tell whether the name or address of a machine is the host's own, however it is written."""
    name = machine.lower().removesuffix(".")
    if name.rpartition(".")[2] == "localhost":
        return True
    try:  # 127.1 and 0 are addresses, too
        address = ipaddress.ip_address(socket.inet_aton(name))
    except (OSError, ValueError):
        return False
    return address.is_loopback or address.is_unspecified or str(address) == resource.address


RULE = Rule(
    id="M32",
    title="backups lie off the host",
    why="What takes the host, a fire or a thief, takes a backup beside it, too.",
    severity="high",
    from_tier=None,
    controls={"iso27001": ("8.13",), "soc2": ("A1.2",), "hipaa": ("164.308(a)(7)(ii)(A)",)},
    fix="name a folder of another machine, by SSH or mounted here: `backup.place`",
    of=service_of("backup"),
    check=_check,
)
