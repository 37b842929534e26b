"""Objects of a Kubernetes cluster as rules see them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from policies.resource import Resource
from policies.values import Value

TYPE = re.compile(r"kubernetes:[^:]+:(\w+)")
WORKLOADS = frozenset({"CronJob", "DaemonSet", "Deployment", "Job", "Pod", "ReplicaSet", "StatefulSet"})
KEPT_RUNNING = frozenset({"DaemonSet", "Deployment", "StatefulSet"})


def kind_of(resource: Resource) -> str:
    """Return the kind of an object; empty where the resource is none."""
    found = TYPE.fullmatch(resource.kind)
    return found[1] if found else ""


def is_kind(*kinds: str) -> Callable[[Resource], bool]:
    """Return what tells whether a resource is an object of one of these kinds."""
    return lambda resource: kind_of(resource) in kinds


is_workload = is_kind(*WORKLOADS)


def name_of(resource: Resource) -> str:
    """Return an object's name in the cluster."""
    return resource.own["metadata"]["name"].text


def namespace_of(resource: Resource) -> str:
    """Return the name of the namespace that an object is in."""
    return resource.own["metadata"]["namespace"].text


def pod_of(resource: Resource) -> Value:
    """Return the ``spec`` of a workload's pods."""
    kind, spec = kind_of(resource), resource.own["spec"]
    if kind == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec if kind == "Pod" else spec["template"]["spec"]


def pod_labels(resource: Resource) -> dict[str, str]:
    """Return the labels of a workload's pods."""
    return {name: label.text for name, label in resource.own["spec"]["template"]["metadata"]["labels"].items()}


def containers(resource: Resource) -> Iterator[Value]:
    """Yield each container of a workload's pods, those of setup steps first."""
    pod = pod_of(resource)
    for part in ("initContainers", "containers", "ephemeralContainers"):
        yield from pod[part]


def words(resource: Resource) -> Iterator[Value]:
    """Yield each word of the commands of a workload."""
    for container in containers(resource):
        yield from container["command"]
        yield from container["args"]
