"""The namespace's own objects: what pods may be, how much there may be of them, and what people may do with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

from terrace.rights import Right, RightsTable, includes
from terrace.spec import Role
from terrace.team import Member

ENFORCED_FROM_TIER = 3
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


def quota(entrances: int) -> dict[str, Any]:
    """Return the ``spec`` of a quota of what costs outside of the cluster.

    Nothing that the platform starts is counted: at a lower tier old pods run on while new ones start, and volumes stay
    when their services go, so that a limit made of the new platform would keep it from coming up.

    Args:
        entrances: How many Services have an address outside of the cluster.
    """
    # A balancer's Service takes a node's port, too.
    return {"hard": {"services.loadbalancers": str(entrances), "services.nodeports": str(entrances)}}


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
    """Return who has a role."""
    return users([member for member in members if role in member.roles], prefix)


def users(members: Iterable[Member], prefix: str) -> list[dict[str, str]]:
    """Return people by the names that the cluster knows them by: their address, or else their account."""
    names = [f"{prefix}{member.email or member.name}" for member in members]
    return [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": name} for name in names]
