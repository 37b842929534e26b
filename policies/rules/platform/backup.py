"""M27: the databases are backed up, and the backup doesn't lie among what it saves."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.rules.platform.backup_elsewhere import MACHINE
from policies.stack import Stack

SAVED_OR_FLEETING = ("/var/lib/terrace", "/opt/terrace", "/etc/terrace", "/tmp", "/var/tmp", "/run", "/dev")  # noqa: S108


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if resource.slot == "database":
        name = resource.variables["service_name"]
        if name.text not in stack.told("backup", "BACKUP_DATABASE_SERVICE"):
            yield Violation(name.path, "no backup saves this database")
        return
    place, at, password = (resource.variable(f"BACKUP_{each}") for each in ("PLACE", "AT", "PASSWORD"))
    folder = MACHINE.sub("/", place.text)
    if not folder.startswith("/") or f"{place.text}/".startswith(tuple(f"{each}/" for each in SAVED_OR_FLEETING)):
        yield Violation(place.path, "backups lie among what they save, or where a reboot removes them")
    if not at.text:
        yield Violation(at.path, "no time says when it runs")
    if not password.is_there:
        yield Violation(password.path, "backups are not encrypted")
    keep = resource.variable("BACKUP_KEEP")
    if not any((count.number or 0) > 0 for _, count in keep.parsed().items()):
        yield Violation(keep.path, "no backup is kept")


RULE = Rule(
    id="M27",
    title="databases are backed up every night",
    why="A lost disk takes all runs, models, and kept predictions with it.",
    severity="high",
    from_tier=2,
    controls={"iso27001": ("8.13",), "soc2": ("A1.2",), "hipaa": ("164.308(a)(7)(ii)(A)",), "gdpr": ("32(1)(c)",)},
    fix="add the slot, `backup: {}`, with a `backup.place` on another disk and a `backup.keep_daily`",
    of=service_of("backup", "database"),
    check=_check,
    whole_stack=True,
)
