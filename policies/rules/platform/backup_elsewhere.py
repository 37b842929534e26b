"""M32: backups lie off the host."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.nginx import is_loopback
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
    elif (machine := MACHINE.match(place.text)) and is_loopback(machine[1]):
        yield Violation(place.path, "it is the host itself, by SSH")


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
