"""What changed between two sets of inputs, and what that means for the resource."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from terrace.engine import paths
from terrace.engine.model import PropertyChange
from terrace.engine.values import MASK, PROVIDER_KEY, Secret, equal, mask, reveal

Kind = Literal["add", "delete", "update"]


@dataclass(frozen=True)
class Diff:
    """A provider's answer.

    Attributes:
        changed: Whether anything changed.
        replace_keys: The top-level inputs because of which the resource must be replaced.
        changed_keys: The top-level inputs that changed, where known.
        detailed: Paths of changes, where known.
        replace: Whether the resource must be replaced.
        delete_first: Whether the old one must go before the new one comes.
    """

    changed: bool
    replace_keys: tuple[str, ...] = ()
    changed_keys: tuple[str, ...] = ()
    detailed: tuple[paths.Path, ...] = ()
    replace: bool = False
    delete_first: bool = False
    replace_paths: tuple[paths.Path, ...] = field(default=(), compare=False)


def inputs_differ(old: dict[str, Any], new: dict[str, Any]) -> Diff:
    """The diff of a provider that has no opinion of its own: any change of a value is an update."""
    changes = list(_walk((), reveal(old), reveal(new)))
    return Diff(
        changed=bool(changes),
        changed_keys=tuple(sorted({str(path[0]) for path, *_ in changes})),
        detailed=tuple(path for path, *_ in changes),
    )


def apply_replace_on_changes(diff: Diff, options: Iterable[str]) -> Diff:
    """Turn changes at the paths of ``replace_on_changes`` into a replacement."""
    if not diff.changed:
        return diff
    wanted = [paths.parse(option) for option in options]
    keys = {key for key in diff.changed_keys if any(paths.contains(path, (key,)) for path in wanted)}
    below = tuple(path for path in diff.detailed if any(paths.contains(option, path) for option in wanted))
    replace_keys = (*diff.replace_keys, *sorted(keys - set(diff.replace_keys)))
    return Diff(
        diff.changed,
        replace_keys,
        diff.changed_keys,
        diff.detailed,
        diff.replace or bool(replace_keys or below),
        diff.delete_first,
        (*diff.replace_paths, *below),
    )


def ignore_changes(
    new: dict[str, Any], old: dict[str, Any], options: Iterable[str]
) -> tuple[dict[str, Any], list[str]]:
    """The new inputs with the old values at the paths of ``ignore_changes``; and the paths where that can't be."""
    options = list(options)
    if not options:
        return new, []
    result = copy.deepcopy(new)
    old = copy.deepcopy(old)
    return result, [option for option in options if not paths.reset(paths.parse(option), old, result)]


def property_changes(old: dict[str, Any], new: dict[str, Any], diff: Diff | None) -> tuple[PropertyChange, ...]:
    """The changes to show, secrets masked."""
    replace_keys = set(diff.replace_keys) if diff else set()
    replace_paths = set(diff.replace_paths) if diff else set()
    result = []
    for path, kind, before, after in _walk((), old, new):
        hidden = _is_secret(old, path) or _is_secret(new, path) or path[0] == PROVIDER_KEY
        result.append(
            PropertyChange(
                path=paths.show(path),
                kind=kind,
                old=MASK if hidden and kind != "add" else mask(before),
                new=MASK if hidden and kind != "delete" else mask(after),
                replaces=str(path[0]) in replace_keys or path in replace_paths,
            )
        )
    return tuple(result)


_Change = tuple[paths.Path, Kind, Any, Any]


def _walk(path: paths.Path, old: Any, new: Any) -> Iterator[_Change]:
    if isinstance(old, Secret) and isinstance(new, Secret):
        old, new = old.value, new.value
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _walk_parts(path, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _walk_parts(path, dict(enumerate(old)), dict(enumerate(new)))
    elif not equal(reveal(old), reveal(new)):
        yield path, "update", old, new


def _walk_parts(path: paths.Path, old: dict[Any, Any], new: dict[Any, Any]) -> Iterator[_Change]:
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            yield (*path, key), "delete", old[key], None
        elif key not in old:
            yield (*path, key), "add", None, new[key]
        else:
            yield from _walk((*path, key), old[key], new[key])


def _is_secret(value: Any, path: paths.Path) -> bool:
    for part in path:
        if isinstance(value, Secret):
            return True
        try:
            value = cast("Any", value)[part]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(value, Secret)
