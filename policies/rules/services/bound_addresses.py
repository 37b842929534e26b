"""A11: nothing listens on every address of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.nginx import directives
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.texts import is_everywhere, listens_everywhere

OF_DATABASE = re.compile(r"(?mi)^\s*listen_addresses\s*=?\s*'([^'\n]*)'")
PORT_ALONE = re.compile(r"\d+")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    for command in resource.commands():
        before = ""
        for word in command:
            if listens_everywhere(before, word.text):
                yield Violation(word.path, "it listens on every address of the machine")
            before = word.text
    for name, value in resource.variables["service_environment"].items():
        if listens_everywhere(name, value.text):
            yield Violation(value.path, "it listens on every address of the machine")
    for path, content in resource.files():
        if path.endswith(".conf") and _is_open(content.text):
            yield Violation(content.path, "it listens on every address of the machine")


def _is_open(text: str) -> bool:
    listens = [arguments[0] for arguments in directives(text, "listen") if arguments]
    listens += [address.strip() for found in OF_DATABASE.findall(text) for address in found.split(",")]
    return any(is_everywhere(address) or PORT_ALONE.fullmatch(address) for address in listens)


RULE = Rule(
    id="A11",
    title="services listen on loopback or one address",
    why="What listens on every address is open to networks that the machine joins later.",
    severity="high",
    from_tier=1,
    controls={"iso27001": ("8.20",), "soc2": ("CC6.6",)},
    fix="listen on 127.0.0.1; what clients reach is `gateway.address` or `hosts[].address`",
    of=is_service,
    check=_check,
)
