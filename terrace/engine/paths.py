"""Property paths: ``a.b[0]["c.d"]``, with ``*`` for every key or index."""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from terrace.engine.values import Secret

Path: TypeAlias = tuple[str | int, ...]

_TOKEN = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\[\*\]|\["((?:[^"\\]|\\.)*)"\]')
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]+")


def parse(text: str) -> Path:
    """The parts of a property path; what can't be parsed is one key."""
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            return (text,)
        key, index, quoted = match.groups()
        if index is not None:
            parts.append(int(index))
        elif quoted is not None:
            parts.append(quoted.replace('\\"', '"'))
        else:
            parts.append(key or "*")
        position = match.end()
    return tuple(parts)


def show(path: Path) -> str:
    """The inverse of `parse`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            escaped = part.replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def contains(path: Path, other: Path) -> bool:
    """Whether ``other`` is at or below ``path``."""
    return len(path) <= len(other) and all(part in ("*", its) for part, its in zip(path, other, strict=False))


def reset(path: Path, old: Any, new: Any) -> bool:
    """Set what stands at ``path`` in ``new`` to what stands there in ``old``.

    Returns:
        False if that isn't possible, because the containers differ.
    """
    return _reset(path, _open(old), _open(new), isinstance(old, Secret) and not isinstance(new, Secret))


def _reset(path: Path, old: Any, new: Any, hide: bool) -> bool:
    key, rest = path[0], path[1:]
    if key == "*":
        return _reset_all(rest, old, new, hide)
    if isinstance(key, int):
        return _reset_index(key, rest, old, new, hide)
    if rest:
        if not isinstance(old, dict) or not isinstance(new, dict):
            return not isinstance(old, dict) and not isinstance(new, dict)
        if key not in new:
            return key not in old
        return _step(rest, old.get(key), new[key], hide)
    if isinstance(old, dict) and key in old:
        if not isinstance(new, dict):
            return False
        new[key] = _hidden(old[key], hide)
    elif isinstance(new, dict):
        new.pop(key, None)
    return True


def _reset_index(index: int, rest: Path, old: Any, new: Any, hide: bool) -> bool:
    if not isinstance(old, list) or not isinstance(new, list):
        return not isinstance(old, list) and not isinstance(new, list)
    if index >= len(old) or index >= len(new):
        return not rest and index >= len(old) and index >= len(new)
    if rest:
        return _step(rest, old[index], new[index], hide)
    new[index] = _hidden(old[index], hide)
    return True


def _reset_all(rest: Path, old: Any, new: Any, hide: bool) -> bool:
    if isinstance(new, dict):
        return not isinstance(old, dict) or _reset_keys(rest, old, new, hide)
    if not isinstance(new, list):
        return False
    if not isinstance(old, list):
        return not rest
    fits = all(_reset_index(index, rest, old, new, hide) for index in range(min(len(old), len(new))))
    return fits and len(old) == len(new)


def _reset_keys(rest: Path, old: dict[str, Any], new: dict[str, Any], hide: bool) -> bool:
    if rest:
        return all(key in new and _step(rest, old[key], new[key], hide) for key in old)
    new.clear()
    new.update({key: _hidden(value, hide) for key, value in old.items()})
    return True


def _step(rest: Path, old: Any, new: Any, hide: bool) -> bool:
    hide = (hide or isinstance(old, Secret)) and not isinstance(new, Secret)
    return _reset(rest, _open(old), _open(new), hide)


def _open(value: Any) -> Any:
    while isinstance(value, Secret):
        value = value.value
    return value


def _hidden(value: Any, hide: bool) -> Any:
    return Secret(value) if hide and not isinstance(value, Secret) else value
