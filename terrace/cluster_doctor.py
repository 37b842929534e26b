"""Says what a cluster lacks before a platform can come up in it, and how to get it. Changes nothing there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from terrace.doctor import Check
from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.connection import connect
from terrace.engine.kubernetes.errors import ApiError, ClusterError
from terrace.engine.kubernetes.kinds import Kind
from terrace.engine.kubernetes.objects import field
from terrace.engine.kubernetes.rights import Right, missing
from terrace.engine.kubernetes.settings import Settings
from terrace.resolve import Blueprint
from terrace.targets.kubernetes.cluster import namespace_of
from terrace.targets.kubernetes.objects import KINDS
from terrace.targets.kubernetes.teams import team_namespace

DNS_PORT = 53
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
VERBS = ("get", "create", "patch", "delete")
Look = Callable[[Cluster, Blueprint], Iterator[Check]]


def examine(blueprint: Blueprint) -> tuple[Check, ...]:
    """Look at the cluster of a blueprint, with the rights of whoever asks."""
    spec = blueprint.spec.kubernetes
    try:
        connection = connect(Settings(spec.kubeconfig or "", spec.context or "", namespace=namespace_of(blueprint)))
        cluster = Cluster(connection)
        cluster.require()
        version = cluster.request("GET", "/version").get("gitVersion")
    except ClusterError as error:
        said = f"{error.what}: {error.why}" if error.why else error.what
        return (Check("cluster", False, said, error.fix or "check `kubernetes.kubeconfig` and `kubernetes.context`"),)
    reached = Check("cluster", True, f"Kubernetes {version} at {cluster.server}")
    return (reached, *(check for look in LOOKS for check in _asked(look, cluster, blueprint)))


def _asked(look: Look, cluster: Cluster, blueprint: Blueprint) -> Iterator[Check]:
    """Look at something; what the credentials don't show isn't known to be missing."""
    try:
        yield from look(cluster, blueprint)
    except ApiError as error:
        name = look.__name__.removeprefix("_")
        fix = "have somebody look who may; `up` tells what doesn't come up"
        yield Check(name, False, f"it can't be seen: {error.message}", fix, necessary=False)


def _rights(cluster: Cluster, blueprint: Blueprint) -> Iterator[Check]:
    place = namespace_of(blueprint)
    places = [place, *(team_namespace(place, name) for name in blueprint.spec.kubernetes.teams)]
    kinds = [Kind(version.rpartition("/")[0], version.rpartition("/")[2], name) for version, name in KINDS]
    refused = missing(cluster, [Right(verb, kind, each) for each in places for kind in kinds for verb in VERBS])
    needed = [each for each in refused if each != "delete namespaces"]  # a destroy leaves the namespace
    if needed:
        said = f"the credentials may not: {', '.join(needed)}"
        yield Check(
            "rights", False, said, "have the cluster's administrator allow it, or bring it up with their account"
        )
    else:
        yield Check("rights", True, f"objects of each kind in {', '.join(places)}")


def _storage(cluster: Cluster, blueprint: Blueprint) -> Iterator[Check]:
    wanted = blueprint.spec.kubernetes.storage_class
    classes = cluster.items(Kind("storage.k8s.io", "v1", "StorageClass"), "")
    names = {str(field(each, "metadata", "name")): each for each in classes}
    known = f"the cluster has {', '.join(sorted(names))}" if names else "the cluster has none"
    if wanted:
        fix = "" if wanted in names else f"name one of them in `kubernetes.storage_class`; {known}"
        yield Check("storage", not fix, f"class {wanted}" if not fix else f"there is no class {wanted}", fix)
        return
    defaults = [name for name, each in names.items() if _annotation(each, DEFAULT_CLASS) == "true"]
    fix = "" if defaults else f"name one in `kubernetes.storage_class`; {known}"
    yield Check("storage", bool(defaults), f"class {defaults[0]}, the default" if defaults else "no default class", fix)


def _dns(cluster: Cluster, _blueprint: Blueprint) -> Iterator[Check]:
    services = cluster.items(Kind("", "v1", "Service"), "kube-system")
    found = [each for each in services if DNS_PORT in [port.get("port") for port in field(each, "spec", "ports") or []]]
    fix = "" if found else "put it there: policies let pods ask for names in kube-system alone"
    yield Check("names", bool(found), "DNS in kube-system" if found else "kube-system has no DNS", fix)


def _pull_secret(cluster: Cluster, blueprint: Blueprint) -> Iterator[Check]:
    if name := blueprint.spec.kubernetes.pull_secret:
        place = namespace_of(blueprint)
        there = cluster.find({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": place}})
        fix = "" if there else f"kubectl -n {place} create secret docker-registry {name} …"
        said = f"{name} is there" if there else f"{place} has no Secret {name}"
        yield Check("pull secret", there is not None, said, fix)


def _nodes(cluster: Cluster, blueprint: Blueprint) -> Iterator[Check]:
    spec = blueprint.spec.kubernetes
    nodes = [each for each in cluster.items(Kind("", "v1", "Node"), "") if _takes_pods(each)]
    yield Check("nodes", bool(nodes), f"{len(nodes)} of them", "" if nodes else "add nodes that are ready")
    if not nodes:
        return
    for slot, placed in spec.placed.items():
        labels = spec.pools[placed.pool].labels if placed.pool else {}
        fitting = [each for each in nodes if labels.items() <= _labels(each).items()]
        if not fitting:
            said = f"no node is of the pool {placed.pool}, where {slot} is to be"
            yield Check("pools", False, said, f"change `kubernetes.pools.{placed.pool}.labels`, or label nodes")
        elif placed.accelerators:
            most = max(int(field(each, "status", "allocatable", spec.accelerator) or 0) for each in fitting)
            enough = most >= placed.accelerators
            fix = "" if enough else "install the device plugin of its maker, or lower `kubernetes.placed`"
            said = f"{slot}: {placed.accelerators} of {most} {spec.accelerator} on one node"
            yield Check("accelerators", enough, said, fix)


LOOKS: tuple[Look, ...] = (_rights, _storage, _dns, _pull_secret, _nodes)


def _takes_pods(node: Mapping[str, Any]) -> bool:
    conditions = field(node, "status", "conditions") or []
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in conditions)
    return ready and not field(node, "spec", "unschedulable")


def _labels(found: Mapping[str, Any]) -> dict[str, str]:
    return dict(field(found, "metadata", "labels") or {})


def _annotation(found: Mapping[str, Any], name: str) -> str:
    return str((field(found, "metadata", "annotations") or {}).get(name, ""))
