"""Whether an object is ready, where that is told by other objects: a service's endpoints, a claim's storage class."""

from __future__ import annotations

from typing import Final

from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.kinds import Kind
from terrace.engine.kubernetes.objects import Object, field, name, namespace
from terrace.engine.kubernetes.status import READY, Status

_SLICE: Final = Kind("discovery.k8s.io", "v1", "EndpointSlice")
# Seconds in which pods of a new service must show up to be waited for. Pulumi's provider takes 10 from the last one.
_SETTLED: Final = 3.0


def service(cluster: Cluster, obj: Object, waited: float) -> Status:
    """Ready when it has its address, and no pod that it is for is still on its way."""
    if field(obj, "spec", "type") == "LoadBalancer" and not field(obj, "status", "loadBalancer", "ingress"):
        return Status(False, "it was given no address; is there anything in the cluster that gives one?")
    exempt = field(obj, "spec", "type") == "ExternalName" or field(obj, "spec", "clusterIP") == "None"
    if exempt or not field(obj, "spec", "selector"):
        return READY
    ready, pending = _endpoints(cluster, obj)
    if pending:
        return Status(False, f"{pending} of the pods that it selects aren't ready")
    return READY if ready or waited >= _SETTLED else Status(False, "it selects no pod yet")


def _endpoints(cluster: Cluster, obj: Object) -> tuple[int, int]:
    """How many endpoints of a service are ready, and how many aren't yet."""
    slices = cluster.items(_SLICE, namespace(obj), labels=f"kubernetes.io/service-name={name(obj)}")
    ready = pending = 0
    for endpoint in (item for found in slices for item in found.get("endpoints") or []):
        conditions = endpoint.get("conditions") or {}
        if conditions.get("ready") is not False:
            ready += 1
        elif not conditions.get("terminating"):
            pending += 1
    return ready, pending


def ingress(cluster: Cluster, obj: Object, waited: float) -> Status:
    """Ready when it has an address, and the services that it leads to are there."""
    missing = sorted(wanted for wanted in _backends(obj) if not _is_there(cluster, obj, wanted))
    if missing and waited < _SETTLED:
        return Status(False, f"it leads to services that aren't there: {', '.join(missing)}")
    if field(obj, "status", "loadBalancer", "ingress"):
        return READY
    return Status(False, "it was given no address; is there an ingress controller for its class?")


def _backends(obj: Object) -> set[str]:
    rules = field(obj, "spec", "rules") or []
    paths = [path for rule in rules for path in field(rule, "http", "paths") or []]
    return {found for path in paths if (found := field(path, "backend", "service", "name"))}


def _is_there(cluster: Cluster, obj: Object, wanted: str) -> bool:
    reference = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": wanted, "namespace": namespace(obj)}}
    return cluster.find(reference) is not None


def claim(cluster: Cluster, obj: Object, _: float) -> Status:
    """A claim is ready when it is bound, or when its class binds it only to the first pod that wants it."""
    phase = field(obj, "status", "phase")
    if phase == "Bound":
        return READY
    wanted = field(obj, "spec", "storageClassName")
    if not wanted:
        return Status(False, f"it is {phase}, and names no storage class; the cluster has no default one")
    class_ = cluster.find({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": wanted}})
    if class_ is None:
        return Status(False, f"it is {phase}, and there is no storage class {wanted}")
    if class_.get("volumeBindingMode") == "WaitForFirstConsumer" and phase == "Pending":
        return READY
    return Status(False, f"it is {phase}: its storage class {wanted} gave it no volume")
