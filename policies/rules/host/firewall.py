"""K8: a host, and a namespace of a cluster, closes every port to who has no edge to it in the graph."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import is_kind, kind_of, name_of, namespace_of
from policies.resource import Resource, is_host
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

IN_A_CLUSTER_FROM, ENTRANCE = 3, "gateway"
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
        denied = [_denied(each) for each in policies if namespace_of(each) == name_of(resource)]
        if not set().union(*denied) >= {"Ingress", "Egress"}:
            yield Violation("metadata.name", "every pod of the cluster reaches every pod in it", IN_A_CLUSTER_FROM)
    else:
        yield from _of_policy(resource)


def _denied(policy: Resource) -> set[str]:
    """Return the sides that a policy closes for every pod of its namespace."""
    spec = policy.own["spec"]
    some = any(spec["podSelector"][part].is_there for part in ("matchLabels", "matchExpressions"))
    sides = {side.text for side in spec["policyTypes"]}
    return set() if some else {side for side in sides if not spec[side.lower()].is_there}


def _of_policy(policy: Resource) -> Iterator[Violation]:
    spec = policy.own["spec"]
    is_entrance = spec["podSelector"]["matchLabels"]["app.kubernetes.io/name"].text == ENTRANCE
    for side, part in (("ingress", "from"), ("egress", "to")):
        for rule in spec[side]:
            peers = list(rule[part])
            if not peers and not (is_entrance and rule["ports"].is_there):
                yield Violation(rule.path, "it is open to everybody", IN_A_CLUSTER_FROM)
            for peer in peers:
                if any(_is_everybody(name, value) for name, value in peer.items()):
                    yield Violation(peer.path, "it is open to everybody", IN_A_CLUSTER_FROM)


def _is_everybody(name: str, value: Value) -> bool:
    if name == "namespaceSelector":
        return not value.is_there
    return name == "ipBlock" and value["cidr"].text in ("0.0.0.0/0", "::/0") and not value["except"].is_there


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
