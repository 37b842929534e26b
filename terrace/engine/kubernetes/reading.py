"""Finds the object that a resource stands for, also one that is imported or only read."""

from __future__ import annotations

from typing import Final

from terrace.engine.errors import StepError
from terrace.engine.kubernetes.kinds import kind_of_type
from terrace.engine.kubernetes.objects import Object, namespace, normalized
from terrace.engine.state import Resource

# What others write into the annotations of objects that are imported.
_OTHERS: Final = ("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration")


def reference(resource: Resource, inputs: Object, live: Object) -> Object:
    """The kind, name, and namespace of a resource's object.

    Raises:
        StepError: Its id names no object.
    """
    place, _, wanted = resource.id.rpartition("/")
    if not wanted:
        raise StepError(f"the id {resource.id!r} names no object", fix="give `namespace/name`, or `name`")
    known = inputs if inputs.get("kind") else live
    if known.get("kind"):
        kind, version = known["kind"], known["apiVersion"]
    else:
        of_type = kind_of_type(resource.type)
        kind, version = of_type.name, of_type.api_version
    metadata = {"name": wanted, "namespace": place or namespace(inputs) or namespace(live)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def imported_inputs(live: Object) -> Object:
    """What a program would have asked for to get this object."""
    result = normalized({key: value for key, value in live.items() if key != "status"})
    annotations = result.get("metadata", {}).get("annotations") or {}
    for key in _OTHERS:
        annotations.pop(key, None)
    if not annotations:
        result.get("metadata", {}).pop("annotations", None)
    return result
