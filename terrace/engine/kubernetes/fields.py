"""Who manages which fields of an object, and how its fields become this provider's.

A plain request, by which this provider and Pulumi's own create, leaves the fields to a manager of the operation
``Update``. To the server that is another manager than the same name that applies; before the first apply its fields
are handed over.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any, Final

from terrace.engine.kubernetes.objects import Object, field, metadata
from terrace.engine.paths import Path, parse

# Whose fields are taken over (pulumi-kubernetes, await.go: fixCSAFieldManagers).
_PREDECESSORS: Final = {
    ("kubectl", "Apply"),
    ("kubectl", "Update"),
    ("before-first-apply", "Update"),
    ("pulumi-kubernetes", "Update"),
    ("pulumi-kubernetes.exe", "Update"),
    ("pulumi-resource-kubernetes", "Update"),
}


def takeover(live: Object, manager: str) -> list[Any]:
    """The JSON patch that hands the fields of predecessors over to ``manager``; empty if there are none.

    Args:
        live: The object as it is there.
        manager: The manager that the state names.
    """
    entries = metadata(live).get("managedFields") or []
    given = [item for item in entries if _is_predecessor(item, manager)]
    if not given:
        return []
    mine = [item for item in entries if _is(item, manager, "Apply")]
    others = [item for item in entries if item not in given and item not in mine]
    own = copy.deepcopy((mine or given)[0])
    own.update({"manager": manager, "operation": "Apply"})
    for item in (*mine, *given):
        _unite(own["fieldsV1"], item.get("fieldsV1") or {})
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [*others, own]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata(live)["resourceVersion"]},
    ]


def are_unowned(live: Object) -> bool:
    """Whether the object is from before the server noted managers."""
    return not metadata(live).get("managedFields")


def ignoring(new: Object, live: Object, manager: str, ignored: Iterable[str]) -> Object:
    """The object to apply so that what stands at the paths of ``ignore_changes`` stays as it is there.

    What others manage is left to them; of everything else the value that is there is applied, so that it isn't removed.
    Paths into lists are taken as they are in ``new``, as Pulumi's provider does.
    """
    result = copy.deepcopy(new)
    for path in map(parse, ignored):
        keys = [str(part) for part in path[:-1]]
        parent, there = field(result, *keys), field(live, *keys)
        if not isinstance(parent, dict) or not isinstance(there, dict):
            continue
        if _belongs_to_others(live, manager, path):
            parent.pop(path[-1], None)
        elif path[-1] in there:
            parent[path[-1]] = there[path[-1]]
    return result


def _belongs_to_others(live: Object, manager: str, path: Path) -> bool:
    """Whether others manage what stands at ``path``, and ``manager`` doesn't."""
    managers = {
        item.get("manager")
        for item in metadata(live).get("managedFields") or []
        if _has(item.get("fieldsV1") or {}, path)
    }
    return bool(managers) and manager not in managers


def _is(entry: Any, manager: str, operation: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == operation and not entry.get("subresource")


def _is_predecessor(entry: Any, manager: str) -> bool:
    if entry.get("subresource"):
        return False
    named = (entry.get("manager"), entry.get("operation"))
    return named in _PREDECESSORS or named == (manager, "Update")


def _unite(fields: Any, more: Any) -> None:
    for key, below in more.items():
        _unite(fields.setdefault(key, {}), below)


def _has(fields: Any, path: Path) -> bool:
    for part in path:
        if isinstance(part, int) or f"f:{part}" not in fields:
            return False
        fields = fields[f"f:{part}"]
    return True
