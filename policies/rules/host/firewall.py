"""K8: a host, and a namespace of a cluster, closes every port to who has no edge to it in the graph."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import is_kind, kind_of, name_of, namespace_of
from policies.resource import Resource, is_host
from policies.rule import Rule, Violation
from policies.stack import Stack

IN_A_CLUSTER_FROM = 3
OF_TERRACE = "terrace-"
# Accounts that programs run as, by Debian's base system and the usual packages.
OF_PROGRAMS = frozenset(
    {"_apt", "avahi", "backup", "bin", "daemon", "dnsmasq", "docker", "games", "git", "gnats", "grafana", "haproxy"}
    | {"irc", "jenkins", "lp", "list", "mail", "man", "messagebus", "mongodb", "mysql", "news", "nginx", "nobody"}
    | {"ntp", "polkitd", "postfix", "postgres", "prometheus", "proxy", "rabbitmq", "redis", "sshd", "sync", "sys"}
    | {"syslog", "uucp", "uuidd", "www-data"}
)


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if is_host(resource):
        yield from _of_host(resource, stack)
    elif kind_of(resource) == "Namespace":
        policies = stack.having(is_kind("NetworkPolicy"))
        if not any(_denies_all(each) for each in policies if namespace_of(each) == name_of(resource)):
            yield Violation("metadata.name", "every pod of the cluster reaches every pod in it", IN_A_CLUSTER_FROM)
    else:
        for side in ("ingress", "egress"):
            for rule in resource.own["spec"][side]:
                if not any(rule[part].is_there for part in ("from", "to", "ports")):
                    yield Violation(rule.path, "it opens everything", IN_A_CLUSTER_FROM)


def _denies_all(policy: Resource) -> bool:
    spec = policy.own["spec"]
    some = any(spec["podSelector"][part].is_there for part in ("matchLabels", "matchExpressions"))
    opens = any(spec[side].is_there for side in ("ingress", "egress"))
    return not some and not opens and {side.text for side in spec["policyTypes"]} == {"Ingress", "Egress"}


def _of_host(resource: Resource, stack: Stack) -> Iterator[Violation]:
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
    fix="`hosts: [{configure: {firewall: {}}}]`, with people's accounts alone in its `allow_users`; in a cluster, "
    "leave the policy `default-deny` in each namespace",
    of=lambda resource: is_host(resource) or kind_of(resource) in ("Namespace", "NetworkPolicy"),
    check=_check,
    whole_stack=True,
    stricter={IN_A_CLUSTER_FROM: "in a cluster, each namespace denies what no policy opens"},
)
