"""A namespace for each group of the team that has its own work in the cluster, apart from the platform and the others.

What its people start there may take no more than its quota, is held to the same Pod Security as the platform, and
reaches its own pods, the platform's entrance, and the package index. Nobody else's pods reach it, and no role of the
platform counts in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from terrace.spec_kubernetes import TeamNamespace
from terrace.targets.kubernetes import namespace as own
from terrace.targets.kubernetes.network import CLOSED, Outside, rules_of_everybody
from terrace.team import Member

RBAC = "rbac.authorization.k8s.io"
CHANGE = ("get", "list", "watch", "create", "update", "patch", "delete")
# What a team's people may do in their namespace: neither its quota nor its policies nor rights are theirs to change.
RULES: Sequence[Mapping[str, Any]] = (
    {
        "apiGroups": [""],
        "resources": ["configmaps", "persistentvolumeclaims", "pods", "secrets", "services"],
        "verbs": list(CHANGE),
    },
    {"apiGroups": [""], "resources": ["pods/attach", "pods/exec", "pods/portforward"], "verbs": ["get", "create"]},
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
    {"apiGroups": [""], "resources": ["events", "limitranges", "resourcequotas"], "verbs": list(own.VIEW)},
    {"apiGroups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": list(CHANGE)},
    {"apiGroups": ["apps"], "resources": ["replicasets"], "verbs": list(own.VIEW)},
    {"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": list(CHANGE)},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": list(own.VIEW)},
)
# Pods of these classes would have the scheduler end others, the platform's among them.
NO_PRIORITY: Mapping[str, Any] = {
    "hard": {"pods": "0"},
    "scopeSelector": {
        "matchExpressions": [
            {
                "scopeName": "PriorityClass",
                "operator": "In",
                "values": ["system-cluster-critical", "system-node-critical"],
            }
        ]
    },
}


@dataclass(frozen=True)
class Surroundings:
    """What a team's namespace must know of the platform.

    Args:
        namespace: The platform's.
        tier: Its tier.
        labels: Labels of every object.
        certificate: That of its authority.
        entrances: The services that people come by, and their ports.
        outside: How what is outside of the cluster is reached.
        user_prefix: What the cluster puts before a person's name.
        accelerator: What the cluster calls its accelerators.
    """

    namespace: str
    tier: int
    labels: Mapping[str, str]
    certificate: pulumi.Input[str]
    entrances: Sequence[tuple[str, int]]
    outside: Outside
    user_prefix: str
    accelerator: str


@dataclass(frozen=True)
class Team:
    """A group of the team with a namespace.

    Args:
        name: The group's name.
        space: What the spec says of the namespace.
        members: Everybody of the platform's team.
        surroundings: What it is beside.
    """

    name: str
    space: TeamNamespace
    members: Iterable[Member]
    surroundings: Surroundings

    @property
    def namespace(self) -> str:
        """Name of the namespace."""
        return team_namespace(self.surroundings.namespace, self.name)

    def its_namespace(self) -> dict[str, Any]:
        """Return the namespace as the API has it."""
        labels = {**self.surroundings.labels, **own.pod_security(self.surroundings.tier)}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}

    def guards(self) -> dict[str, dict[str, Any]]:
        """Return what guards it, by resource name: it stays as long as the namespace does."""
        networking, limits = "networking.k8s.io/v1", quota(self.space, self.surroundings.accelerator)
        return {
            "deny": self._document(networking, "NetworkPolicy", "default-deny", spec=dict(CLOSED)),
            "edges": self._document(networking, "NetworkPolicy", "team", spec=self._open()),
            "quota": self._document("v1", "ResourceQuota", "team", spec=limits),
            "priority": self._document("v1", "ResourceQuota", "no-priority", spec=dict(NO_PRIORITY)),
            "limits": self._document("v1", "LimitRange", "team", spec=own.limits()),
            # Pods that name no account have this one, which the cluster makes with each namespace.
            "account": self._document("v1", "ServiceAccount", "default", automountServiceAccountToken=False),
        }

    def contents(self) -> dict[str, dict[str, Any]]:
        """Return what its people have there, by resource name: their rights, and the way to the platform."""
        found = {
            "platform": self._document("v1", "ConfigMap", "platform", data=self._connection()),
            "role": self._document(f"{RBAC}/v1", "Role", "team", rules=list(RULES)),
        }
        mine = [member for member in self.members if self.name in member.groups]
        if people := own.users(mine, self.surroundings.user_prefix):
            reference = {"apiGroup": RBAC, "kind": "Role", "name": "team"}
            found["people"] = self._document(f"{RBAC}/v1", "RoleBinding", "team", roleRef=reference, subjects=people)
        return found

    def _connection(self) -> dict[str, pulumi.Input[str]]:
        """Return where the platform is, and whom to trust; people's passwords are their own."""
        around = self.surroundings
        addresses = [f"https://{service}.{around.namespace}.svc:{port}" for service, port in around.entrances]
        return {"ca.crt": around.certificate, **({"TERRACE_GATEWAY_URL": addresses[0]} if addresses else {})}

    def _open(self) -> dict[str, Any]:
        """Return what every pod reaches: names, the platform's entrance, the package index, and the team's own pods."""
        around = self.surroundings
        mine: list[dict[str, Any]] = [{"podSelector": {}}]
        egress = [{"to": mine}, *rules_of_everybody(around.entrances, around.namespace)]
        egress.append(around.outside.rule(around.outside.indexes))
        return {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": mine}],
            "egress": egress,
        }

    def _document(self, version: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace, "labels": dict(self.surroundings.labels)}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def team_namespace(platforms: str, group: str) -> str:
    """Return the name of a group's namespace; ``platforms`` is the platform's own."""
    return f"{platforms}-team-{group}"


def quota(space: TeamNamespace, accelerator: str) -> dict[str, Any]:
    """Return the ``spec`` of the quota: what its pods may take together, and no address outside of the cluster."""
    hard = {
        "requests.cpu": str(space.cores),
        "requests.memory": f"{space.memory_gb}Gi",
        "limits.memory": f"{space.memory_gb}Gi",
        "requests.storage": f"{space.storage_gb}Gi",
        f"requests.{accelerator}": str(space.accelerators),
        "pods": str(space.pods),
        "services.loadbalancers": "0",
        "services.nodeports": "0",
    }
    return {"hard": hard}
