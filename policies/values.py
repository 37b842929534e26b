"""Reads properties of resources without ever failing, whatever they hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


class Unknown:
    """The type of `UNKNOWN`: a value that is known only once something is deployed."""

    def __repr__(self) -> str:
        return "[unknown]"


UNKNOWN: Final = Unknown()


class UndeterminedError(Exception):
    """A rule met a value that isn't known yet.

    Args:
        path: The property.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


class Value:
    """A property's value and the path to it, as in ``variables.service_processes[0].memory_mb``.

    What isn't there, or is of another kind than a rule asks for, reads as absent. Whatever is asked of an unknown value
    raises `UndeterminedError`.
    """

    __slots__ = ("_held", "path")

    def __init__(self, held: Any, path: str) -> None:
        self._held = held
        self.path = path

    @property
    def held(self) -> Any:
        """The value itself."""
        if self._held is UNKNOWN:
            raise UndeterminedError(self.path)
        return self._held

    def called(self, path: str) -> Value:
        """Return the same value, called by another path."""
        return Value(self._held, path)

    def __getitem__(self, key: str) -> Value:
        """Return what a mapping holds under ``key``."""
        held = self.held
        found = held.get(key) if isinstance(held, Mapping) else None
        return Value(found, f"{self.path}.{key}" if self.path else key)

    def items(self) -> Iterator[tuple[str, Value]]:
        """Yield what a mapping holds."""
        held = self.held
        for key in held if isinstance(held, Mapping) else ():
            yield str(key), Value(held[key], f"{self.path}.{key}" if self.path else str(key))

    def __iter__(self) -> Iterator[Value]:
        """Yield what a list holds."""
        held = self.held
        for number, item in enumerate(held if isinstance(held, (list, tuple)) else ()):
            yield Value(item, f"{self.path}[{number}]")

    @property
    def text(self) -> str:
        """A text; empty where it is something else."""
        held = self.held
        return held if isinstance(held, str) else ""

    @property
    def number(self) -> float | None:
        """A finite number; None where it is something else."""
        held = self.held
        is_number = isinstance(held, (int, float)) and not isinstance(held, bool)
        return held if is_number and (isinstance(held, int) or math.isfinite(held)) else None

    @property
    def is_true(self) -> bool:
        """Whether it is true, and not just something."""
        return self.held is True

    @property
    def is_there(self) -> bool:
        """Whether it holds anything."""
        return self.held not in (None, "", [], (), {})

    def texts(self) -> Iterator[Value]:
        """Yield every text in it, however deep."""
        left = [self]
        while left:
            value = left.pop()
            if isinstance(value.held, str):
                yield value
            else:
                inner = [item for _, item in value.items()] + list(value)
                left.extend(reversed(inner))

    def parsed_yaml(self) -> Value:
        """Return what a text of YAML holds, at the same path; nothing where it isn't YAML."""
        try:
            return Value(YAML(typ="safe", pure=True).load(self.text), self.path)
        except (YAMLError, ValueError, RecursionError):
            return Value(None, self.path)

    def parsed(self) -> Value:
        """Return what a text of JSON holds, at the same path; nothing where it isn't JSON."""
        try:
            return Value(json.loads(self.text), self.path)
        except (ValueError, RecursionError):
            return Value(None, self.path)
