"""The kinds that the tests go through: what each is made with, what it is changed to, and what the change does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pulumi import ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apiextensions.v1 import CustomResourceDefinition
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
from pulumi_kubernetes.networking.v1 import Ingress, NetworkPolicy
from pulumi_kubernetes.policy.v1 import PodDisruptionBudget
from pulumi_kubernetes.rbac.v1 import Role, RoleBinding
from pulumi_kubernetes.storage.v1 import StorageClass

LABELS = {"app": "thing"}
Program = Callable[[], None]
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


def backend(port: int) -> list[dict[str, Any]]:
    path = {"path": "/", "path_type": "Prefix", "backend": {"service": {"name": "web", "port": {"number": port}}}}
    return [{"host": "web.example.com", "http": {"paths": [path]}}]


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
    "ingress": (_of(Ingress), {"spec": {"rules": backend(80)}}, {"spec": {"rules": backend(81)}}, "update"),
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


def text_of(function: Callable[[str, int], Program], namespace: str, pick: int) -> str:
    """The text of the program that one of these functions returns."""
    return f"from {__name__} import *\n{function.__name__}({namespace!r}, {pick})()\n"


def everything(namespace: str, pick: int) -> Program:
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
            metadata: dict[str, Any] = {"namespace": namespace, "labels": {"case": name}}
            if name == "ingress":  # nobody gives it an address here
                metadata["annotations"] = {"pulumi.com/skipAwait": "true"}
            make(name, {"metadata": metadata, **arguments[pick]}, ResourceOptions(depends_on=[space]))

    return program


def group_of(namespace: str) -> str:
    """The group of the kind that `a_kind_of_its_own` defines."""
    return f"{namespace}.example.com"


def a_kind_of_its_own(namespace: str, size: int) -> Program:
    """A program that defines a kind and makes an object of it, which is ready when its condition `Ready` is true."""

    def program() -> None:
        space = Namespace("space", metadata={"name": namespace})
        schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"open_apiv3_schema": schema}}
        definition = CustomResourceDefinition(
            "definition",
            metadata={"name": f"models.{group_of(namespace)}"},
            spec={
                "group": group_of(namespace),
                "scope": "Namespaced",
                "names": {"plural": "models", "singular": "model", "kind": "Model"},
                "versions": [{**version, "subresources": {"status": {}}}],
            },
        )
        annotations = {"pulumi.com/waitFor": "condition=Ready"}
        CustomResource(
            "model",
            api_version=f"{group_of(namespace)}/v1",
            kind="Model",
            metadata={"namespace": namespace, "name": "flights", "annotations": annotations},
            spec={"size": size},
            opts=ResourceOptions(depends_on=[space, definition]),
        )

    return program
