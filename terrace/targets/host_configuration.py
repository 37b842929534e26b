"""What of a machine itself is configured: each part that the spec turns on becomes one run of an Ansible role."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from terrace.spec import Team
from terrace.spec_host import HostConfiguration

if TYPE_CHECKING:
    from terrace.edges import Listener


def roles(wanted: HostConfiguration, team: Team) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield role, instance, and variables of each part that is turned on, but for what comes before all others.

    In the order in which they are to run: admins have their keys before SSH stops taking passwords; a driver may ask
    for a reboot at the end.
    """
    if wanted.users:
        for person in sorted({person for name in wanted.users.admins for person in team.members(name)}):
            keys = list(team.people[person].ssh_keys)
            yield "users", person, {"users_ssh_keys": keys, "users_sudo": wanted.users.sudo}
    if wanted.hardening:
        yield "hardening", "hardening", _prefixed("hardening", wanted.hardening.model_dump())
    if wanted.time:
        yield "time", "time", {"time_servers": list(wanted.time.servers)}
    if wanted.container_runtime:
        yield "container_runtime", "container_runtime", {}
    if wanted.kubernetes_node:
        yield "kubernetes_node", "kubernetes_node", {}
    if wanted.gpu:
        gpu = {**wanted.gpu.model_dump(), "toolkit": wanted.gpu.toolkit or ""}
        yield "gpu", "gpu", _prefixed("gpu", gpu)


def firewall_listeners(listeners: tuple[Listener, ...], addresses: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what the role ``firewall`` is told of each port; ``addresses`` has that of each host."""
    return [
        {
            "port": each.port,
            "service": each.service,
            "callers": list(each.callers),
            "hosts": [addresses[name] for name in each.hosts],
        }
        for each in listeners
    ]


def _prefixed(role: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{role}_{name}": value for name, value in options.items()}
