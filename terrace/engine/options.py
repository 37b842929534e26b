"""How an operation is to be done: the options that the commands of both engines share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PARALLEL = 16


@dataclass(frozen=True)
class Import:
    """Something that is there already, and that a stack is to know.

    Attributes:
        type: Its type, as in its URN.
        name: The logical name that it gets.
        id: What its provider knows it by.
        parent: The URN of its parent; empty for the stack.
        provider: The URN of its provider; empty for the package's default.
        protect: Whether it is protected from being deleted.
    """

    type: str
    name: str
    id: str
    parent: str = ""
    provider: str = ""
    protect: bool = True


@dataclass(frozen=True)
class Options:
    """The options of one operation.

    URNs may be patterns: ``*`` stands for any text without a colon, ``**`` for any text.

    Attributes:
        parallel: How many resources may be worked on at once.
        continue_on_error: Go on with what doesn't depend on a failed resource.
        refresh: Compare the state with what is really there first.
        targets: The URNs of what to work on; everything else stays as it is. Empty means everything.
        target_dependents: Work on what depends on the targets too.
        replace: The URNs of what to replace even though nothing changed.
        imports: What an import takes into the stack.
    """

    parallel: int = PARALLEL
    continue_on_error: bool = False
    refresh: bool = False
    targets: tuple[str, ...] = ()
    target_dependents: bool = False
    replace: tuple[str, ...] = ()
    imports: tuple[Import, ...] = ()


class Urns:
    """A set of URNs, given by name or by pattern. False if there is none."""

    def __init__(self, wanted: Iterable[str]) -> None:
        self._wanted = tuple(wanted)
        self._patterns = [_pattern(text) for text in self._wanted]

    def __bool__(self) -> bool:
        return bool(self._wanted)

    def __contains__(self, urn: object) -> bool:
        return any(pattern.fullmatch(str(urn)) for pattern in self._patterns)

    def names(self) -> Iterator[str]:
        """Those that are no patterns, so that a resource must have that very name."""
        return (text for text in self._wanted if "*" not in text)


def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*|\*)", text)
    return re.compile("".join({"**": ".*", "*": "[^:]*"}.get(part, re.escape(part)) for part in parts), re.DOTALL)
