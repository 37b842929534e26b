"""A11: nothing listens on every address of the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.nginx import directives
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack

EVERY_ADDRESS = re.compile(r"(?<![\w.])0\.0\.0\.0(?![\w.])|\[::\]|(?<![\w:])::(?![\w:])|=\*(:\d+)?$|=:\d+$")
BINDS = re.compile(r"(HOST|ADDRESS|BIND|LISTEN)$")  # variables that name what is listened on
OPEN_FILE = re.compile(r"(?m)^\s*listen_addresses\s*=\s*'[^'\n]*(\*|0\.0\.0\.0|::)")
PORT_ALONE = re.compile(r"\*?:?\d+")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    for word in resource.words():
        if EVERY_ADDRESS.search(word.text):
            yield Violation(word.path, "it listens on every address of the machine")
    for name, value in resource.variables["service_environment"].items():
        if EVERY_ADDRESS.search(value.text) or (BINDS.search(name) and value.text == "*"):
            yield Violation(value.path, "it listens on every address of the machine")
    for path, content in resource.files():
        if path.endswith(".conf") and _is_open(content.text):
            yield Violation(content.path, "it listens on every address of the machine")


def _is_open(text: str) -> bool:
    listens = (arguments[0] for arguments in directives(text, "listen") if arguments)
    return bool(OPEN_FILE.search(text)) or any(
        EVERY_ADDRESS.search(address) or PORT_ALONE.fullmatch(address) for address in listens
    )


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
