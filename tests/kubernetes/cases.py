"""The kinds that the tests go through: what each is made with, what it is changed to, and what the change does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pulumi import ResourceOptions
from pulumi_kubernetes.apps.v1 import DaemonSet, Deployment, StatefulSet
from pulumi_kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
from pulumi_kubernetes.batch.v1 import CronJob, Job
from pulumi_kubernetes.core.v1 import (
    ConfigMap,
    LimitRange,
    Namespace,
    PersistentVolumeClaim,
    Pod,
    ResourceQuota,
    Secret,
    Service,
    ServiceAccount,
)
from pulumi_kubernetes.networking.v1 import NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding
from pulumi_kubernetes.storage.v1 import StorageClass

LABELS = {"app": "thing"}
Make = Callable[[str, dict[str, Any], ResourceOptions], object]


def pods(image: str = "app:1", **spec: Any) -> dict[str, Any]:
    containers = [{"name": "app", "image": image, "resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}}]
    return {"metadata": {"labels": LABELS}, "spec": {"containers": containers, **spec}}


def pod_set(image: str = "app:1", **spec: Any) -> dict[str, Any]:
    return {"selector": {"match_labels": LABELS}, "template": pods(image), **spec}


def volumes(size: str) -> list[dict[str, Any]]:
    spec = {
        "access_modes": ["ReadWriteOnce"],
        "storage_class_name": "later",
        "resources": {"requests": {"storage": size}},
    }
    return [{"metadata": {"name": "data"}, "spec": spec}]


def _of(class_: Any) -> Make:
    return lambda name, arguments, opts: class_(name, **arguments, opts=opts)


# Kind, what it is made with, what it is changed to, and what the change does.
CASES: dict[str, tuple[Make, dict[str, Any], dict[str, Any], str]] = {
    "config-map": (_of(ConfigMap), {"data": {"a": "1"}}, {"data": {"a": "2"}}, "replace"),
    "secret": (_of(Secret), {"string_data": {"a": "1"}}, {"string_data": {"a": "2"}}, "replace"),
    "service-account": (
        _of(ServiceAccount),
        {"automount_service_account_token": False},
        {"automount_service_account_token": True},
        "update",
    ),
    "deployment": (_of(Deployment), {"spec": pod_set()}, {"spec": pod_set("app:2")}, "update"),
    "deployment-selector": (
        _of(Deployment),
        {"spec": pod_set()},
        {
            "spec": {
                "selector": {"match_labels": {"app": "other"}},
                "template": {**pods(), "metadata": {"labels": {"app": "other"}}},
            }
        },
        "replace",
    ),
    "stateful-set": (
        _of(StatefulSet),
        {"spec": pod_set(service_name="things", replicas=2)},
        {"spec": pod_set("app:2", service_name="things", replicas=2)},
        "update",
    ),
    "stateful-set-name": (
        _of(StatefulSet),
        {"spec": pod_set(service_name="things")},
        {"spec": pod_set(service_name="others")},
        "replace",
    ),
    "daemon-set": (_of(DaemonSet), {"spec": pod_set()}, {"spec": pod_set("app:2")}, "update"),
    "job": (
        _of(Job),
        {"spec": {"template": {"spec": {**pods()["spec"], "restart_policy": "Never"}}}},
        {"spec": {"template": {"spec": {**pods("app:2")["spec"], "restart_policy": "Never"}}}},
        "replace",
    ),
    "cron-job": (
        _of(CronJob),
        {
            "spec": {
                "schedule": "0 3 * * *",
                "job_template": {"spec": {"template": {"spec": {**pods()["spec"], "restart_policy": "Never"}}}},
            }
        },
        {
            "spec": {
                "schedule": "0 4 * * *",
                "job_template": {"spec": {"template": {"spec": {**pods()["spec"], "restart_policy": "Never"}}}},
            }
        },
        "update",
    ),
    "pod": (_of(Pod), {"spec": pods()["spec"]}, {"spec": pods("app:2")["spec"]}, "replace"),
    "claim": (
        _of(PersistentVolumeClaim),
        {"spec": {**volumes("1Gi")[0]["spec"]}},
        {"spec": {**volumes("1Gi")[0]["spec"], "access_modes": ["ReadOnlyMany"]}},
        "replace",
    ),
    "service": (
        _of(Service),
        {"spec": {"selector": LABELS, "ports": [{"port": 80}]}},
        {"spec": {"selector": LABELS, "ports": [{"port": 81}]}},
        "update",
    ),
    "service-headless": (
        _of(Service),
        {"spec": {"selector": LABELS, "ports": [{"port": 80}]}},
        {"spec": {"selector": LABELS, "ports": [{"port": 80}], "cluster_ip": "None"}},
        "replace",
    ),
    "network-policy": (
        _of(NetworkPolicy),
        {"spec": {"pod_selector": {}, "policy_types": ["Ingress"]}},
        {"spec": {"pod_selector": {}, "policy_types": ["Ingress", "Egress"]}},
        "update",
    ),
    "role": (
        _of(Role),
        {"rules": [{"api_groups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {"rules": [{"api_groups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]},
        "update",
    ),
    "role-binding": (
        _of(RoleBinding),
        {"role_ref": {"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}, "subjects": []},
        {"role_ref": {"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}, "subjects": []},
        "replace",
    ),
    "quota": (_of(ResourceQuota), {"spec": {"hard": {"pods": "50"}}}, {"spec": {"hard": {"pods": "60"}}}, "update"),
    "limits": (
        _of(LimitRange),
        {"spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]}},
        {"spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}}]}},
        "update",
    ),
    "autoscaler": (
        _of(HorizontalPodAutoscaler),
        {
            "spec": {
                "max_replicas": 3,
                "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": "x"},
            }
        },
        {
            "spec": {
                "max_replicas": 4,
                "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": "x"},
            }
        },
        "update",
    ),
    "disruption-budget": (
        _of(PodDisruptionBudget),
        {"spec": {"max_unavailable": 1, "selector": {"match_labels": LABELS}}},
        {"spec": {"max_unavailable": 2, "selector": {"match_labels": LABELS}}},
        "update",
    ),
}


def everything(namespace: str, pick: int) -> Callable[[], None]:
    """A program that makes every case in a namespace of its own: as it is first (0), or as it is changed (1)."""

    def program() -> None:
        StorageClass(
            "later",
            metadata={"name": "later"},
            provisioner="kubernetes.io/no-provisioner",
            volume_binding_mode="WaitForFirstConsumer",
        )
        space = Namespace("space", metadata={"name": namespace})
        for name, (make, *arguments, _) in CASES.items():
            metadata = {"namespace": namespace, "labels": {"case": name}}
            make(name, {"metadata": metadata, **arguments[pick]}, ResourceOptions(depends_on=[space]))

    return program
