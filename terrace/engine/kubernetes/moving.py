"""Whether two configurations lead to different clusters, as far as their kubeconfigs tell."""

from __future__ import annotations

from typing import Any

from terrace.engine.kubernetes.settings import text
from terrace.engine.provider import Values
from terrace.engine.values import Unknown, contains, equal, reveal

_WHERE = ("kubeconfig", "context", "cluster")
_IDENTITY = "clusterIdentifier"


def moved(old: Values, new: Values) -> tuple[str, ...]:
    """The settings by which ``new`` leads to another cluster than ``old``; those that aren't known yet count.

    A cluster has no name of its own. Where ``clusterIdentifier`` is given, it decides, and else the address and
    authority in the kubeconfig; a kubeconfig that only the environment gives can't be compared.
    """
    if old.get(_IDENTITY) and new.get(_IDENTITY):
        return () if equal(reveal(old[_IDENTITY]), reveal(new[_IDENTITY])) else (_IDENTITY,)
    unknown = tuple(key for key in _WHERE if contains(new.get(key), Unknown))
    if unknown:
        return unknown
    changed = tuple(key for key in _WHERE if not equal(reveal(old.get(key)), reveal(new.get(key))))
    if not changed:
        return ()
    before, after = _cluster(reveal(old)), _cluster(reveal(new))
    return changed if before is not None and after is not None and before != after else ()


def _cluster(given: Values) -> Any:
    """The active cluster of a kubeconfig; None if it can't be told."""
    from terrace.engine.kubernetes.connection import active_cluster

    return active_cluster(text(given.get("kubeconfig")), text(given.get("context")), text(given.get("cluster")))
