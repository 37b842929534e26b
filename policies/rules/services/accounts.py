"""M30: what the gateway lets through needs an account and a right."""

from __future__ import annotations

from collections.abc import Iterator

from policies.nginx import directives
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

ASK_THEMSELVES = frozenset({"tracking", "registry", "pipelines"})  # slots whose services have accounts of their own


def _of(resource: Resource) -> bool:
    return is_service(resource) or resource.role == "gateway_folder"


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    if resource.role == "gateway_folder":
        yield from _needs(resource.variables["gateway_folder_slot"], resource.variables["gateway_folder_needs"])
        return
    for route in resource.variables["service_routes"]:
        if route["auth"].text == "gateway":
            yield from _needs(route["slot"], route["needs"])
        elif route["auth"].text != "own" or resource.slot not in ASK_THEMSELVES:
            yield Violation(route["auth"].path, "nobody asks for an account")
    if resource.slot == "gateway":
        yield from _entrance(resource.file("nginx.conf"))


def _needs(slot: Value, needs: Value) -> Iterator[Violation]:
    if not slot.text:
        yield Violation(slot.path, "no slot says which rights count")
    if not needs.is_there:
        yield Violation(needs.path, "no right is needed")
    for need in needs:
        if not need["right"].text or not need["request"].text.startswith("^"):
            yield Violation(need.path, "it doesn't say which requests need which right")


def _entrance(content: Value) -> Iterator[Violation]:
    asks = [arguments for arguments in directives(content.text, "auth_basic") if arguments != ("off",)]
    if not asks or not list(directives(content.text, "auth_basic_user_file")):
        yield Violation(content.path, "the entrance asks for no account")


RULE = Rule(
    id="M30",
    title="everything behind the gateway needs an account",
    why="Models, data, and metrics are read, and changed, by whoever reaches the address.",
    severity="critical",
    from_tier=1,
    controls={"soc2": ("CC6.1",), "iso27001": ("5.15", "8.3"), "hipaa": ("164.312(a)(1)", "164.312(d)")},
    fix="give the flavor's Route `auth: gateway`, its slot, and `needs`",
    of=_of,
    check=_check,
)
