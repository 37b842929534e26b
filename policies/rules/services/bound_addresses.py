"""A11: nothing listens on every address of the machine, and of a cluster the entrance alone is reached."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.cluster import kind_of
from policies.nginx import directives
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.texts import is_everywhere, listens_everywhere

OF_DATABASE = re.compile(r"(?mi)^\s*listen_addresses\s*=?\s*'([^'\n]*)'")
PORT_ALONE = re.compile(r"\d+")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    if kind_of(resource) == "Service":
        yield from _of_cluster(resource)
        return
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


def _of_cluster(resource: Resource) -> Iterator[Violation]:
    spec = resource.own["spec"]
    if spec["type"].text in ("LoadBalancer", "NodePort") and resource.slot != "gateway":
        yield Violation(spec["type"].path, "it is reached from outside of the cluster, past the gateway")
    if spec["externalIPs"].is_there:
        yield Violation(spec["externalIPs"].path, "it takes what is sent to an address that isn't its own")


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
    fix="listen on 127.0.0.1; what clients reach is `gateway.address` or `hosts[].address`, and of a cluster what has "
    "`kubernetes.entrance`",
    of=lambda resource: is_service(resource) or kind_of(resource) == "Service",
    check=_check,
)
