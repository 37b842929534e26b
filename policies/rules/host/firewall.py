"""K8: a host closes every port to who has no edge to it in the graph."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_host
from policies.rule import Rule, Violation
from policies.stack import Stack

OF_TERRACE = "terrace-"
# Accounts that programs run as, by Debian's base system and the usual packages.
OF_PROGRAMS = frozenset(
    {"_apt", "avahi", "backup", "bin", "daemon", "dnsmasq", "docker", "games", "git", "gnats", "grafana", "haproxy"}
    | {"irc", "jenkins", "lp", "list", "mail", "man", "messagebus", "mongodb", "mysql", "news", "nginx", "nobody"}
    | {"ntp", "polkitd", "postfix", "postgres", "prometheus", "proxy", "rabbitmq", "redis", "sshd", "sync", "sys"}
    | {"syslog", "uucp", "uuidd", "www-data"}
)


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    firewall = stack.role_on(resource.host, "firewall")
    if firewall is None:
        yield Violation("host", "every user of the machine, and every service, reaches every port on loopback")
        return
    for account in firewall.variables["firewall_allow_users"]:
        if account.text in OF_PROGRAMS or account.text.startswith((OF_TERRACE, "systemd-")):
            yield Violation("host", f"programs run as {account.path}, which its firewall lets reach every port")
    guarded = {each["port"].number for each in firewall.variables["firewall_listeners"]}
    if open_ports := sorted(stack.ports.get(resource.host, set()) - guarded):
        yield Violation("host", f"its firewall guards no port {', '.join(f'{port:g}' for port in open_ports)}")


RULE = Rule(
    id="K8",
    title="ports are closed by default",
    why="A service that was broken into reaches all others, the database among them.",
    severity="high",
    from_tier=None,
    controls={"soc2": ("CC6.6",), "iso27001": ("8.20", "8.22")},
    fix="`hosts: [{configure: {firewall: {}}}]`, with people's accounts alone in its `allow_users`",
    of=is_host,
    check=_check,
    whole_stack=True,
)
