"""Asks a cluster how the services of an environment in it are: no machine outside of it reaches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from terrace import status
from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.connection import connect
from terrace.engine.kubernetes.errors import ApiError, ClusterError
from terrace.engine.kubernetes.objects import Object, field
from terrace.engine.kubernetes.pods import reasons
from terrace.engine.kubernetes.settings import Settings
from terrace.status import Health, Status

KINDS = ("Deployment", "StatefulSet")


def examine(env: str, outputs: Mapping[str, Any]) -> Status:
    """Look at the pods of all services; of a cluster that can't be asked none is healthy.

    Args:
        env: The environment.
        outputs: Its stack outputs; ``cluster`` tells how it is reached, see `terrace.platform.build`.
    """
    where = outputs["cluster"]
    seen: dict[str, tuple[bool, str]] = {}
    healths = []
    for service in outputs.get("services") or ():
        workload = str(urlsplit(service["probe_url"]).hostname).partition(".")[0]
        if workload not in seen:
            seen[workload] = _look(where, workload)
        healthy, detail = seen[workload]
        known = {key: str(service[key]) for key in ("slot", "flavor", "name", "url")}
        healths.append(Health(**known, healthy=healthy, detail=detail))
    return status.summary(env, outputs, healths)


def _look(where: Mapping[str, Any], workload: str) -> tuple[bool, str]:
    """Return whether a workload has a pod that is ready, and what there is to say of it."""
    settings = Settings(where.get("kubeconfig") or "", where.get("context") or "", namespace=where["namespace"])
    try:
        cluster = Cluster(connect(settings))
        found = _find(cluster, where["namespace"], workload)
        if found is None:
            return False, f"{where['namespace']} has no workload of that name"
        ready, wanted = int(field(found, "status", "readyReplicas") or 0), int(field(found, "spec", "replicas") or 0)
        said = f"{ready} of {wanted} pods ready"
        return (True, said) if ready else (False, "; ".join([said, *reasons(cluster, found)[:1]]))
    except (ApiError, ClusterError) as error:
        return False, str(error).splitlines()[0]


def _find(cluster: Cluster, namespace: str, name: str) -> Object | None:
    for kind in KINDS:
        about = {"name": name, "namespace": namespace}
        if found := cluster.find({"apiVersion": "apps/v1", "kind": kind, "metadata": about}):
            return found
    return None
