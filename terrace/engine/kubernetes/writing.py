"""Creates, changes, and deletes objects the way Pulumi's provider does."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import Final, TypeVar

from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.errors import ApiError, MissingKindError
from terrace.engine.kubernetes.fields import are_unowned, ignoring, takeover
from terrace.engine.kubernetes.objects import Object, annotation, is_crd, metadata, name, namespace

FORCE: Final = "pulumi.com/patchForce"
PROPAGATION: Final = "pulumi.com/deletionPropagationPolicy"
# Seconds before each further attempt to create what isn't possible yet: its namespace or kind is on its way.
_PAUSES: Final = (0.5, 1.0, 2.0, 4.0)
_RACES: Final = 5
_T = TypeVar("_T")


class Writer:
    """Writes to one cluster.

    Args:
        cluster: The cluster.
        force: Take fields over from other managers.
    """

    def __init__(self, cluster: Cluster, *, force: bool) -> None:
        self._cluster = cluster
        self._force = force

    def create(self, obj: Object, manager: str) -> Object:
        """Create an object that isn't there yet; only a plain request fails if it is. Then take over its fields."""
        live = self._patiently(lambda: self._cluster.create(obj, manager))
        for _ in range(_RACES):
            try:
                return self._taken_over(live, manager)
            except ApiError:  # its controllers write to it too
                live = self._cluster.find(live) or live
        return live  # the first update takes them over

    def put(self, obj: Object, manager: str) -> Object:
        """Create an object, or apply it to the one that is there: for patches, and where taking over is allowed."""
        force = self._forces(obj)
        return self._patiently(lambda: self._cluster.apply(obj, manager, force=force))

    def update(self, obj: Object, there: Object, manager: str, ignored: list[str], *, patch: bool) -> Object:
        """Change an object.

        Args:
            obj: What it is to be.
            there: Which object it is; its name may stand here alone.
            manager: Who applies.
            ignored: The paths of ``ignore_changes``.
            patch: Whether something else manages the object, so that its fields aren't taken over.
        """
        target = addressed(obj, there)
        for attempt in range(_RACES):
            live = self._cluster.get(target)
            try:
                return self._update_once(obj, live, manager, ignored, patch=patch)
            except ApiError as error:
                if not _is_race(error) or attempt == _RACES - 1:
                    raise
        raise AssertionError("the last attempt ends the loop")

    def _update_once(self, obj: Object, live: Object, manager: str, ignored: list[str], *, patch: bool) -> Object:
        target = addressed(obj, live)
        if is_crd(obj):  # applied, its list of versions would be merged with the one that is there
            return self._cluster.replace(_at_version(target, live), manager)
        if not patch:
            live = self._taken_over(live, manager)
        force = self._forces(obj) or are_unowned(live)
        return self._cluster.apply(ignoring(target, live, manager, ignored), manager, force=force)

    def _taken_over(self, live: Object, manager: str) -> Object:
        operations = takeover(live, manager)
        return self._cluster.patch(live, operations) if operations else live

    def try_create(self, obj: Object) -> Object:
        """What creating would give; nothing is changed."""
        return self._cluster.create(obj, "terrace", dry=True)

    def try_update(self, obj: Object, there: Object, manager: str, ignored: list[str], *, patch: bool) -> Object | None:
        """What changing would give; nothing is changed. None if fields would have to be taken over first."""
        live = self._cluster.get(addressed(obj, there))
        target = addressed(obj, live)
        if is_crd(obj):
            return self._cluster.replace(_at_version(target, live), manager, dry=True)
        if not patch and takeover(live, manager):
            return None
        force = self._forces(obj) or are_unowned(live)
        return self._cluster.apply(ignoring(target, live, manager, ignored), manager, force=force, dry=True)

    def try_put(self, obj: Object, manager: str) -> Object:
        """What `put` would give; nothing is changed."""
        return self._cluster.apply(obj, manager, force=True, dry=True)

    def in_servers_form(self, obj: Object) -> Object:
        """The object as the server would write it, had it another name; nothing is changed."""
        inner = {key: value for key, value in metadata(obj).items() if key != "name"}
        return self._cluster.create({**obj, "metadata": {**inner, "generateName": "terrace-"}}, "terrace", dry=True)

    def relinquish(self, obj: Object, manager: str) -> None:
        """Give up all fields that a manager applied."""
        bare = {key: obj[key] for key in ("apiVersion", "kind")}
        bare["metadata"] = {"name": name(obj), **({"namespace": namespace(obj)} if namespace(obj) else {})}
        self._cluster.apply(bare, manager, force=False)

    def delete(self, obj: Object, inputs: Object) -> None:
        """Have an object deleted, and by default everything that it owns before it."""
        policy = annotation(inputs, PROPAGATION).lower()
        self._cluster.delete(obj, policy.capitalize() if policy in ("orphan", "background") else "Foreground")

    def _forces(self, obj: Object) -> bool:
        return self._force or annotation(obj, FORCE) == "true"

    def _patiently(self, work: Callable[[], _T]) -> _T:
        for pause in _PAUSES:
            try:
                return work()
            except MissingKindError:
                self._cluster.forget_kinds()
            except ApiError as error:
                if not error.is_missing:
                    raise
            time.sleep(pause)
        return work()


def addressed(obj: Object, there: Object) -> Object:
    """The object with the name and the namespace of the one that is there."""
    result = copy.copy(obj)
    place = {key: value for key in ("name", "namespace") if (value := metadata(there).get(key))}
    result["metadata"] = {**metadata(obj), **place}
    return result


def _at_version(obj: Object, live: Object) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": metadata(live)["resourceVersion"]}}


def _is_race(error: ApiError) -> bool:
    """Whether somebody else changed the object between looking at it and writing."""
    causes = error.details.get("causes") or []
    return error.code == 409 and not any(cause.get("reason") == "FieldManagerConflict" for cause in causes)
