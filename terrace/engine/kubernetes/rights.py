"""Asks the cluster whether what is planned is allowed, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.errors import ApiError, MissingKindError
from terrace.engine.kubernetes.kinds import Kind

_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_ALL: Final = {"verb": "*", "group": "*", "resource": "*"}


@dataclass(frozen=True, order=True)
class Right:
    """Something that is planned: a verb on a kind in a namespace."""

    verb: str
    kind: Kind
    namespace: str


def missing(cluster: Cluster, wanted: Iterable[Right]) -> list[str]:
    """What of it isn't allowed, in words. Kinds that aren't there yet can't be asked about."""
    wanted = sorted(set(wanted), key=lambda right: (right.namespace, str(right.kind), right.verb))
    if not wanted or _is_allowed(cluster, _ALL):
        return []
    refused = []
    for right in wanted:
        try:
            endpoint = cluster.endpoint(right.kind)
        except MissingKindError:
            continue
        place = right.namespace if endpoint.namespaced else ""
        asked = {"verb": right.verb, "group": right.kind.group, "resource": endpoint.plural, "namespace": place}
        if not _is_allowed(cluster, asked):
            resource = f"{endpoint.plural}.{right.kind.group}" if right.kind.group else endpoint.plural
            refused.append(f"{right.verb} {resource}" + (f" in {place}" if place else ""))
    return refused


def _is_allowed(cluster: Cluster, attributes: dict[str, Any]) -> bool:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    try:
        answer = cluster.request("POST", _REVIEWS, [], review)
    except ApiError:
        return True  # it can't be asked; the request itself will tell
    return bool(answer.get("status", {}).get("allowed"))
