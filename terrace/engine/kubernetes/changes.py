"""What changed between an object as it is and as it is wanted, by Pulumi's provider's rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from terrace.engine.diff import Diff
from terrace.engine.kubernetes.immutable import touches
from terrace.engine.kubernetes.objects import AUTONAMED, Object, annotation, name, namespace
from terrace.engine.paths import Path, contains, parse
from terrace.engine.values import UNKNOWN, equal


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        path: Where it is.
        kind: What happens there.
        value: What comes there; None if it is removed.
    """

    path: Path
    kind: Literal["add", "delete", "update"]
    value: Any


def changes(before: Object, after: Object) -> list[Change]:
    """The differences between two objects. A null counts as nothing."""
    return list(_walk((), before, after))


def without(found: Iterable[Change], ignored: Iterable[str]) -> list[Change]:
    """The differences without those at or below the paths of ``ignore_changes``."""
    paths = [parse(path) for path in ignored]
    return [change for change in found if not any(contains(path, change.path) for path in paths)]


def where_inputs_differ(found: Iterable[Change], before: Object, after: Object) -> list[Change]:
    """Those differences at which the inputs changed too; the server may only write the others in another form."""
    changed = [change.path for change in _walk((), before, after)]

    def differs(path: Path) -> bool:
        return any(contains(path, other) or contains(other, path) for other in changed)

    return [change for change in found if differs(change.path)]


def to_diff(found: list[Change], immutable: tuple[Path, ...], old: Object, new: Object) -> Diff:
    """The engine's diff. An object that keeps its name has to go before it comes anew."""
    replaces = tuple(
        change.path
        for change in found
        if touches(immutable, change.path, change.value) or (change.kind == "delete" and change.path == ("metadata",))
    )
    same_name = bool(name(new)) and (name(new), namespace(new)) == (name(old), namespace(old))
    return Diff(
        changed=bool(found),
        changed_keys=tuple(sorted({str(change.path[0]) for change in found})),
        detailed=tuple(change.path for change in found),
        replace=bool(replaces),
        replace_paths=replaces,
        delete_first=bool(replaces) and same_name and annotation(new, AUTONAMED) != "true",
    )


def _walk(path: Path, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        yield from _walk_keys(path, before, after)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _walk_keys(path, dict(enumerate(before)), dict(enumerate(after)))
    elif after is UNKNOWN or not equal(before, after):
        yield Change(path, "update", after)


def _walk_keys(path: Path, before: dict[Any, Any], after: dict[Any, Any]) -> Iterator[Change]:
    for key in sorted(before.keys() | after.keys()):
        is_there, is_wanted = before.get(key) is not None, after.get(key) is not None
        if is_there and is_wanted:
            yield from _walk((*path, key), before[key], after[key])
        elif is_wanted:
            yield Change((*path, key), "add", after[key])
        elif is_there:
            yield Change((*path, key), "delete", None)
