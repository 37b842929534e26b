"""K4: a service runs as a user of its own, and as nobody else; in a cluster with no rights beyond that."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import containers, is_workload, kind_of, pod_of
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

BECOMES_ANOTHER = frozenset({"sudo", "su", "doas", "setpriv", "runuser", "pkexec"})
READ_ONLY_FROM = 4
ENFORCED = "pod-security.kubernetes.io/enforce"
ROOT, NO_RIGHT_OF_ROOTS = 0, frozenset({"NET_BIND_SERVICE"})


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    if is_workload(resource):
        yield from _of_pod(resource, stack)
    elif kind_of(resource) == "Namespace":
        level = resource.own["metadata"]["labels"][ENFORCED]
        if level.text != "restricted":
            yield Violation(level.path, "the cluster lets pods in that may have rights of root's")
    else:
        yield from _of_service(resource, stack)


def _of_pod(resource: Resource, stack: Stack) -> Iterator[Violation]:
    pod = pod_of(resource)
    if pod["automountServiceAccountToken"].held is not False:
        yield Violation(pod["automountServiceAccountToken"].path, "it has a token for the cluster's API")
    for container in containers(resource):
        own = container["securityContext"]
        yield from _of_container(own, pod["securityContext"])
        if stack.setting.strictness >= READ_ONLY_FROM and not own["readOnlyRootFilesystem"].is_true:
            yield Violation(own["readOnlyRootFilesystem"].path, "its programs can be changed", READ_ONLY_FROM)


def _of_container(own: Value, pods: Value) -> Iterator[Violation]:
    """Tell what a container may; of what it doesn't say itself, its pod's settings count."""
    user = own["runAsUser"] if own["runAsUser"].held is not None else pods["runAsUser"]
    not_root = own["runAsNonRoot"] if own["runAsNonRoot"].held is not None else pods["runAsNonRoot"]
    if not not_root.is_true or user.number == ROOT:
        yield Violation(not_root.path, "it may run as root")
    if own["allowPrivilegeEscalation"].held is not False:
        yield Violation(own["allowPrivilegeEscalation"].path, "its programs may become another user")
    if "ALL" not in [each.text for each in own["capabilities"]["drop"]]:
        yield Violation(own["capabilities"]["drop"].path, "it keeps rights of root's")
    for capability in own["capabilities"]["add"]:
        if capability.text not in NO_RIGHT_OF_ROOTS:
            yield Violation(capability.path, "it is given a right of root's")
    seccomp = own["seccompProfile"] if own["seccompProfile"].is_there else pods["seccompProfile"]
    if seccomp["type"].text not in ("RuntimeDefault", "Localhost"):
        yield Violation(seccomp["type"].path, "it may call everything of the node's kernel")


def _of_service(resource: Resource, stack: Stack) -> Iterator[Violation]:
    name = resource.variables["service_name"]
    if not name.text:
        yield Violation(name.path, "it has no name, and so no user of its own")
    elif stack.users[resource.host, name.text] > 1:
        yield Violation(name.path, "another service on this host has the same name, and so the same user")
    reads_all = resource.variables["service_reads_all"]
    if reads_all.held not in (None, False) and resource.slot != "backup":
        yield Violation(reads_all.path, "it may read every file of the machine, which only a backup needs")
    for word in resource.runs(BECOMES_ANOTHER):
        yield Violation(word.path, "the command becomes another user")


RULE = Rule(
    id="K4",
    title="each service has a user of its own",
    why="Who breaks into one service has what its user has: the others' data and passwords, where they share it.",
    severity="high",
    from_tier=3,
    controls={"soc2": ("CC6.1",), "iso27001": ("8.2", "8.3")},
    fix="give the flavor's Workload a `name` of its own, and leave `reads_all` to the backup; in a cluster, leave "
    "`securityContext` as the target writes it",
    of=lambda resource: is_service(resource) or is_workload(resource) or kind_of(resource) == "Namespace",
    check=_check,
    whole_stack=True,
    stricter={READ_ONLY_FROM: "in a cluster, its root file system is read-only"},
)
