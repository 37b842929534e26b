"""M26: notebooks have no credential of the platform's, and are reached with a right."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

# What a service that downloads packages is told by the host; see the target's variables.
OF_DOWNLOADS = frozenset({"UV_SYSTEM_CERTS", "UV_DEFAULT_INDEX", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"})


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    for name, secret in resource.variables["service_secrets"].items():
        if name not in OF_DOWNLOADS:
            yield Violation(secret.path, "notebooks get a credential of the platform's")
    for route in resource.variables["service_routes"]:
        for need in route["needs"]:
            if need["right"].text not in ("use", "edit", "manage"):
                yield Violation(need["right"].path, "who may only read runs code")
    port, socket = resource.variables["service_ports"], resource.variables["service_socket_for"]
    if not port.is_there and socket.text != "gateway":
        yield Violation(socket.path, "others than the gateway open a person's notebooks")


RULE = Rule(
    id="M26",
    title="notebooks hold no credential of production",
    why="Code that people try out, and what it installs, may do what its credentials may.",
    severity="high",
    from_tier=2,
    controls={"soc2": ("CC6.1", "CC6.3"), "iso27001": ("8.2",)},
    fix="let the flavor's Workload of the slot `workbench` have no `secrets`",
    of=service_of("workbench"),
    check=_check,
)
