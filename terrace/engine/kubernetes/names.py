"""Names for objects that the program leaves unnamed, as Pulumi's provider gives them."""

from __future__ import annotations

import secrets

from terrace.engine.kubernetes.objects import AUTONAMED, Object, annotate, annotation, name

MANAGER_PREFIX = "pulumi-kubernetes-"
FIELD_MANAGER = "pulumi.com/patchFieldManager"


def unique(prefix: str) -> str:
    """The prefix with eight random characters after it."""
    return prefix + secrets.token_hex(4)


def set_name(obj: Object, logical: str, old: Object | None) -> None:
    """Give an unnamed object the name that it had, or a new one."""
    if not isinstance(obj.setdefault("metadata", {}), dict) or name(obj):
        return  # named, or its name is known only later
    if old is None:
        obj["metadata"]["name"] = unique(f"{logical}-")
    elif annotation(old, AUTONAMED) == "true":
        obj["metadata"]["name"] = name(old)
    else:
        return
    annotate(obj, AUTONAMED, "true")
