"""Errors that say where, what, why, and how to fix it. Only ``terrace.cli`` prints them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Location:
    """A place in a user's file. ``line`` and ``column`` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class TerraceError(Exception):
    """Anything that ends a command with a message instead of a traceback.

    Args:
        what: What is wrong, in one sentence.
        where: The file, host or resource that it concerns.
        why: The cause, where it is known.
        fix: What the user can do about it.
    """

    def __init__(
        self,
        what: str,
        *,
        where: Location | str | None = None,
        why: str | None = None,
        fix: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.why = why
        self.fix = fix
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.why:
            text += f"\n  why: {self.why}"
        if self.fix:
            text += f"\n  fix: {self.fix}"
        return text


class InputError(TerraceError):
    """What the user wrote is wrong; nothing was touched. Commands exit with 2."""


class InputErrors(InputError):
    """All errors of one input, at once, in the order of their places."""

    def __init__(self, errors: Sequence[InputError]) -> None:
        self.errors = tuple(sorted(errors, key=_place))
        super().__init__("\n".join(str(error) for error in self.errors))


def _place(error: InputError) -> tuple[bool, Location]:
    """Return what errors are ordered by; those without a place come last."""
    if isinstance(error.where, Location):
        return False, error.where
    return True, Location("", 0, 0)


class OperationError(TerraceError):
    """The operation itself failed. Commands exit with 1."""


class OperationErrors(OperationError):
    """All errors of an operation that went on after the first."""

    def __init__(self, errors: Sequence[OperationError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(str(error) for error in self.errors))
