"""Kubernetes documents as Pulumi's typed resources."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi_kubernetes import apps, batch, core, networking, policy, rbac

KINDS: Mapping[tuple[str, str], type[pulumi.CustomResource]] = {
    ("v1", "ConfigMap"): core.v1.ConfigMap,
    ("v1", "LimitRange"): core.v1.LimitRange,
    ("v1", "Namespace"): core.v1.Namespace,
    ("v1", "ResourceQuota"): core.v1.ResourceQuota,
    ("v1", "Secret"): core.v1.Secret,
    ("v1", "Service"): core.v1.Service,
    ("v1", "ServiceAccount"): core.v1.ServiceAccount,
    ("apps/v1", "Deployment"): apps.v1.Deployment,
    ("apps/v1", "StatefulSet"): apps.v1.StatefulSet,
    ("batch/v1", "CronJob"): batch.v1.CronJob,
    ("batch/v1", "Job"): batch.v1.Job,
    ("networking.k8s.io/v1", "NetworkPolicy"): networking.v1.NetworkPolicy,
    ("policy/v1", "PodDisruptionBudget"): policy.v1.PodDisruptionBudget,
    ("rbac.authorization.k8s.io/v1", "Role"): rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): rbac.v1.RoleBinding,
}
# Of these the SDK has other names than the API.
SDK_NAMES = {
    "automountServiceAccountToken": "automount_service_account_token",
    "roleRef": "role_ref",
}


def declare(name: str, document: Mapping[str, Any], opts: pulumi.ResourceOptions) -> pulumi.CustomResource:
    """Declare an object.

    Args:
        name: The resource's name.
        document: The object as the API has it.
        opts: The resource's options.

    Raises:
        KeyError: There is no resource of its kind in the table above (a defect of Terrace).
    """
    kind = KINDS[document["apiVersion"], document["kind"]]
    parts = {part: value for part, value in document.items() if part not in ("apiVersion", "kind")}
    make: Any = kind
    made: pulumi.CustomResource = make(name, opts=opts, **{SDK_NAMES.get(part, part): parts[part] for part in parts})
    return made
