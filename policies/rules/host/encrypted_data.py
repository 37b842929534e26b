"""A2: what a host keeps is encrypted at rest."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_host
from policies.rule import Rule, Violation
from policies.stack import Stack

KEPT = ("/var/lib/terrace", "/etc/terrace")  # each environment's data and configuration


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    looked = stack.role_on(resource.host, "encrypted_data")
    if looked is None:
        yield Violation("host", "nobody looks whether the platform's folders are encrypted at rest")
        return
    folders = {folder.text for folder in looked.variables["encrypted_data_folders"]}
    if not {f"{base}/{stack.setting.environment}" for base in KEPT} <= folders:
        yield Violation("host", "nobody looks whether data and configuration are encrypted at rest")


RULE = Rule(
    id="A2",
    title="data is encrypted at rest",
    why="A disk that is sold, stolen, or sent in for repair is read.",
    severity="high",
    from_tier=None,
    controls={
        "gdpr": ("32(1)(a)",),
        "hipaa": ("164.312(a)(2)(iv)",),
        "iso27001": ("8.24",),
        "soc2": ("CC6.1",),
    },
    fix="encrypt the disk, and say so: `hosts: [{configure: {encrypted_data: {}}}]`",
    of=is_host,
    check=_check,
    whole_stack=True,
)
