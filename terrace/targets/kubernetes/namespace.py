"""The namespace's own objects: what pods may be, how much there may be of them, and what people may do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from terrace.rights import Right, RightsTable, includes
from terrace.spec import Role
from terrace.team import Member
from terrace.workload import Workload

ENFORCED_FROM_TIER = 3
CPU_OF_PROCESS_M = 1000  # what a process is thought to take at most (thousandths of a core), for the quota
JOBS = 20  # pods beside those of services: what runs once, and what people start
ROLLING = 2  # a service's new pod starts before its old one ends
VIEW = ("get", "list", "watch")

# What a right in the cluster allows there, beyond those below it. None of them shows Secrets or ConfigMaps.
RULES: Mapping[Right, list[dict[str, Any]]] = {
    "read": [
        {
            "apiGroups": [""],
            "resources": ["pods", "services", "endpoints", "events", "persistentvolumeclaims", "resourcequotas"],
            "verbs": list(VIEW),
        },
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets"], "verbs": list(VIEW)},
        {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": list(VIEW)},
        {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": list(VIEW)},
    ],
    "use": [{"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]}],
    "edit": [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["delete"]},  # its controller makes a new one
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["create"]},
    ],
}


def pod_security(tier: int) -> dict[str, str]:
    """Return the labels by which the API server refuses pods, or warns of them."""
    enforced = "restricted" if tier >= ENFORCED_FROM_TIER else "baseline"
    levels = {"enforce": enforced, "audit": "restricted", "warn": "restricted"}
    return {f"pod-security.kubernetes.io/{mode}": level for mode, level in levels.items()}


def quota(workloads: Iterable[Workload], entrances: int) -> dict[str, Any]:
    """Return the ``spec`` of a quota that everything fits in, also while all of it is replaced, and not much more.

    Volumes aren't counted: those of services that are gone stay, and would keep new ones from being made.

    Args:
        workloads: Everything that is kept running.
        entrances: How many Services have an address outside of the cluster.
    """
    every = list(workloads)
    processes = [process for workload in every for process in workload.processes]
    memory = ROLLING * sum(process.memory_mb * process.copies for process in processes)
    hard = {
        "pods": str(ROLLING * len(every) + JOBS),
        "requests.cpu": f"{ROLLING * len(processes) * CPU_OF_PROCESS_M}m",
        "limits.memory": f"{memory + JOBS * 512}Mi",
        "requests.memory": f"{memory + JOBS * 512}Mi",
        "services.loadbalancers": str(entrances),
        "services.nodeports": str(entrances),  # a balancer's Service takes one, too
    }
    return {"hard": hard}


def limits() -> dict[str, Any]:
    """Return the ``spec`` of what a container gets that doesn't say how much it takes."""
    container = {
        "type": "Container",
        "default": {"memory": "512Mi"},
        "defaultRequest": {"cpu": "50m", "memory": "128Mi"},
    }
    return {"limits": [container]}


def roles(table: RightsTable) -> dict[Role, list[dict[str, Any]]]:
    """Return the ``rules`` of a Role for each role of a team that may do something in the cluster."""
    held = {role: table.cluster.right(role) for role in get_args(Role)}
    return {
        role: [rule for needed, rules in RULES.items() if includes(right, needed) for rule in rules]
        for role, right in held.items()
        if right != "none"
    }


def subjects(members: Iterable[Member], role: Role, prefix: str) -> list[dict[str, str]]:
    """Return who has a role, by the name that the cluster knows them by: their address, or else their account."""
    names = [f"{prefix}{member.email or member.name}" for member in members if role in member.roles]
    return [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name} for name in names]
