"""K3: no pod has the node's own rights."""

from __future__ import annotations

from collections.abc import Iterator

from policies.cluster import containers, is_workload, pod_of
from policies.resource import Resource
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

KERNEL = "it may call everything of the node's kernel"
# What containers have anyway, by the baseline of Kubernetes' Pod Security Standards.
USUAL = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE"}
    | {"SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    pod = pod_of(resource)
    for name in ("hostNetwork", "hostPID", "hostIPC"):
        if pod[name].held not in (None, False):
            yield Violation(pod[name].path, "it is in a namespace of the node's")
    if pod["securityContext"]["seccompProfile"]["type"].text == "Unconfined":
        yield Violation(pod["securityContext"]["seccompProfile"]["type"].path, KERNEL)
    for setting in pod["securityContext"]["sysctls"]:
        yield Violation(setting.path, "it changes a setting of the node's kernel")
    for volume in pod["volumes"]:
        if volume["hostPath"].held is not None:
            yield Violation(volume["hostPath"].path, "it has a folder of the node's")
    for container in containers(resource):
        yield from _of_container(container["securityContext"])
        for port in container["ports"]:
            if port["hostPort"].number:
                yield Violation(port["hostPort"].path, "it takes a port of the node, past every policy")


def _of_container(security: Value) -> Iterator[Violation]:
    if security["privileged"].held not in (None, False):
        yield Violation(security["privileged"].path, "it may do on the node whatever root may")
    for capability in security["capabilities"]["add"]:
        if capability.text not in USUAL:
            yield Violation(capability.path, "it is given a right of root's")
    if security["procMount"].held not in (None, "Default"):
        yield Violation(security["procMount"].path, "it sees what is hidden of the node's kernel")
    if security["seccompProfile"]["type"].text == "Unconfined":
        yield Violation(security["seccompProfile"]["type"].path, KERNEL)


RULE = Rule(
    id="K3",
    title="pods have none of the node's rights",
    why="Who breaks into such a pod has the node, and with it all pods and their secrets.",
    severity="critical",
    from_tier=1,
    controls={"iso27001": ("8.9",), "soc2": ("CC6.1",)},
    fix="leave it out of the flavor; a driver that needs it is the cluster's, and not in the platform's `namespace`",
    of=is_workload,
    check=_check,
)
