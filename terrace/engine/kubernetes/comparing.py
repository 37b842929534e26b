"""Compares an object as it was seen last with what is wanted, with the server's help where it can be had."""

from __future__ import annotations

import dataclasses

from terrace.engine.diff import Diff
from terrace.engine.kubernetes import status
from terrace.engine.kubernetes.changes import Change, changes, to_diff, where_inputs_differ, without
from terrace.engine.kubernetes.checkpoint import Stored
from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.errors import ApiError, ClusterError, MissingKindError
from terrace.engine.kubernetes.objects import Object, is_known, name, normalized, pruned
from terrace.engine.kubernetes.scopes import set_namespace
from terrace.engine.kubernetes.writing import Writer
from terrace.engine.paths import Path


class Comparing:
    """One object's comparison.

    What was there is cut to what was asked for: everything else the cluster writes itself. A server writes some values
    in another form than they are given, so what seems to have changed is shown to it, without changing anything. Where
    no server can be asked, only what was asked for differently counts.

    Args:
        wanted: The new inputs.
        state: What the state has.
        namespaced: Whether objects of this kind are in namespaces.
    """

    def __init__(self, wanted: Object, state: Stored, *, namespaced: bool) -> None:
        self._wanted = wanted
        self._state = state
        self._asked = normalized(state.inputs)
        self._namespaced = namespaced
        self._before = pruned(state.live, self._asked)
        self._before.setdefault("apiVersion", wanted.get("apiVersion"))
        self._before.setdefault("kind", wanted.get("kind"))
        self._before.setdefault("metadata", {})
        if name(wanted):
            self._before["metadata"]["name"] = name(state.live)
        for obj in (self._before, wanted, self._asked):
            set_namespace(obj, "default", namespaced=namespaced)

    def changes(self, cluster: Cluster | None, ignored: list[str], *, patch: bool) -> list[Change]:
        """The differences, but for those at the paths of ``ignore_changes``. A patch is no whole object to show."""
        found = without(changes(self._before, self._wanted), ignored)
        if not found or patch or not is_known(self._wanted):
            return found
        written = self._as_written(cluster) if cluster is not None else None
        if written is not None:
            return without(changes(self._before, written), ignored)
        return where_inputs_differ(found, self._asked, self._wanted) if cluster is None else found

    def diff(self, found: list[Change], immutable: tuple[Path, ...]) -> Diff:
        """The differences as the engine wants them."""
        return to_diff(found, immutable, self._state.live, self._wanted)

    def replace_if_unready(self, diff: Diff, cluster: Cluster) -> Diff:
        """Replace a job that hasn't succeeded."""
        try:
            live = cluster.find(self._state.live)
        except (ApiError, ClusterError, MissingKindError):
            return diff
        if live is None or status.job(live).ready:
            return diff
        return dataclasses.replace(diff, changed=True, replace=True, delete_first=True)

    def _as_written(self, cluster: Cluster) -> Object | None:
        """What is wanted, in the server's form; None if it refuses it, as it does what can't be changed in place."""
        try:
            written = Writer(cluster, force=False).in_servers_form(self._wanted)
        except (ApiError, ClusterError, MissingKindError):
            return None
        written["metadata"]["name"] = name(self._wanted)
        result = pruned(written, self._wanted)
        set_namespace(result, "default", namespaced=self._namespaced)
        return result
