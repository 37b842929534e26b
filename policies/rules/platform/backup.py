"""M27: what hosts and databases keep is backed up, and the backup doesn't lie among what it saves."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_host, is_service
from policies.rule import Rule, Violation
from policies.rules.platform.backup_elsewhere import MACHINE
from policies.stack import Stack
from policies.texts import plain_paths

SAVED_OR_FLEETING = ("/var/lib/terrace", "/opt/terrace", "/etc/terrace", "/tmp", "/var/tmp", "/run", "/dev")  # noqa: S108
ALL = "."  # of what a service leaves out of backups


def _of(resource: Resource) -> bool:
    return is_host(resource) or (is_service(resource) and resource.slot in ("backup", "database"))


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if is_host(resource):
        here = [each for each in stack.resources if each.host == resource.host]
        keeping = [each.path for each in here if _keeps_data(each)]
        if keeping and not any(is_service(each) and each.slot == "backup" for each in here):
            yield Violation("host", f"no backup runs on it, and saves what is kept there by {', '.join(keeping)}")
        return
    if resource.slot == "database":
        name = resource.variables["service_name"]
        if name.text not in stack.told("backup", "BACKUP_DATABASE_SERVICE"):
            yield Violation(name.path, "no backup saves this database")
        return
    place, at, password = (resource.variable(f"BACKUP_{each}") for each in ("PLACE", "AT", "PASSWORD"))
    folder = f"{plain_paths(place.text)}/"
    named = MACHINE.sub("/", place.text).startswith("/")
    if not named or folder.startswith(tuple(f"{each}/" for each in SAVED_OR_FLEETING)):
        yield Violation(place.path, "backups lie among what they save, or where a reboot removes them")
    if not at.text:
        yield Violation(at.path, "no time says when it runs")
    if not password.is_there:
        yield Violation(password.path, "backups are not encrypted")
    keep = resource.variable("BACKUP_KEEP")
    if not any((count.number or 0) > 0 for _, count in keep.parsed().items()):
        yield Violation(keep.path, "no backup is kept")


def _keeps_data(resource: Resource) -> bool:
    """Tell whether a backup has to save something of it, beside databases, which are dumped."""
    if is_service(resource):
        return ALL not in [path.text for path in resource.variables["service_unsaved"]]
    return resource.role == "artifact_folder"


RULE = Rule(
    id="M27",
    title="data is backed up every night",
    why="A lost disk takes all runs, models, and kept predictions with it.",
    severity="high",
    from_tier=2,
    controls={"iso27001": ("8.13",), "soc2": ("A1.2",), "hipaa": ("164.308(a)(7)(ii)(A)",), "gdpr": ("32(1)(c)",)},
    fix="add the slot, `backup: {}`, with a `backup.place` on another disk and a `backup.keep_daily`",
    of=_of,
    check=_check,
    whole_stack=True,
)
