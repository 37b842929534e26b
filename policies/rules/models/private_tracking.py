"""M3: the tracking server and the registry ask for an account, and give no rights unasked."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

NO_RIGHTS = re.compile(r"(?m)^default_permission\s*=\s*NO_PERMISSIONS\s*$")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    servers = [each["command"] for each in resource.variables["service_processes"] if _serves(each["command"].held)]
    if not servers:
        yield Violation("variables.service_processes", "no process serves runs with accounts")
    for command in servers:
        words = [word.text for word in command]
        if ("--app-name", "basic-auth") not in itertools.pairwise(words):
            yield Violation(command.path, "it asks for no account")
    accounts = resource.file("basic_auth.ini")
    if not NO_RIGHTS.search(accounts.text):
        yield Violation(accounts.path, "whoever has an account has rights to what others made")


def _serves(command: object) -> bool:
    return isinstance(command, list) and "server" in command


RULE = Rule(
    id="M3",
    title="tracking and registry ask for an account",
    why="Whoever reaches the registry's port puts a model of their own into production.",
    severity="critical",
    from_tier=1,
    controls={"soc2": ("CC6.1",), "iso27001": ("5.15", "8.3"), "hipaa": ("164.312(a)(1)",)},
    fix="in the flavor: `--app-name basic-auth`, and `default_permission = NO_PERMISSIONS` in `basic_auth.ini`",
    of=service_of("tracking"),
    check=_check,
)
