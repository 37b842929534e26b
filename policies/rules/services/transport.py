"""K12: what leaves the machine is encrypted."""

from __future__ import annotations

from collections.abc import Iterator

from policies.nginx import directives, is_loopback
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack

SAFE = frozenset({"TLSv1.2", "TLSv1.3"})
CONFIGURATION = "nginx.conf"


def _of(resource: Resource) -> bool:
    """Tell whether it is the gateway, or the link between hosts, which belongs to no slot."""
    return is_service(resource) and resource.slot in ("gateway", "platform")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    content = resource.file(CONFIGURATION)
    listens = list(directives(content.text, "listen"))
    encrypted = [arguments for arguments in listens if "ssl" in arguments]
    if any(arguments and not is_loopback(arguments[0]) for arguments in listens if arguments not in encrypted):
        yield Violation(content.path, "it listens without TLS where other machines reach it")
    if resource.slot == "gateway" and not encrypted:
        yield Violation(content.path, "the entrance has no TLS")
    protocols = {name for arguments in directives(content.text, "ssl_protocols") for name in arguments}
    if not protocols or not protocols <= SAFE:
        yield Violation(content.path, "it doesn't refuse TLS before 1.2")
    if resource.slot == "platform" and ("on",) not in directives(content.text, "ssl_verify_client"):
        yield Violation(content.path, "it takes connections of hosts without a certificate")


RULE = Rule(
    id="K12",
    title="TLS on everything that leaves the machine",
    why="Passwords and data are read on the way.",
    severity="high",
    from_tier=2,
    controls={
        "hipaa": ("164.312(e)(1)",),
        "gdpr": ("32(1)(a)",),
        "iso27001": ("8.24",),
        "soc2": ("CC6.7",),
    },
    fix="in the flavor's nginx configuration: `listen … ssl` and `ssl_protocols TLSv1.2 TLSv1.3`",
    of=_of,
    check=_check,
)
