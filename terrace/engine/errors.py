"""Errors of the engine. All of them say which file or resource they are about."""

from __future__ import annotations

from typing import Any

from terrace.errors import InputError, OperationError, TerraceError


class StateError(OperationError):
    """The stored state can't be read, or was written by something newer."""


class PassphraseError(OperationError):
    """The passphrase doesn't open the stack's secrets."""


class LockError(OperationError):
    """Another operation holds the stack."""


class UnsupportedError(InputError):
    """The program asks for something that only the Pulumi CLI can do. Nothing was touched."""


class StepError(OperationError):
    """One resource's step failed."""


class CancelledError(OperationError):
    """The operation was stopped before this resource's turn came."""


class PartialError(Exception):
    """A resource is there, but isn't as it was wanted. It is kept in the state, and the next update repairs it.

    Args:
        message: What went wrong.
        identifier: The resource's id.
        outputs: Its outputs.
    """

    def __init__(self, message: str, identifier: str, outputs: dict[str, Any]) -> None:
        super().__init__(message)
        self.id = identifier
        self.outputs = outputs


def describe(error: Exception) -> str:
    """What went wrong, in words. The resource is told apart, so a step's error doesn't name it again."""
    if isinstance(error, StepError):
        return str(StepError(error.what, why=error.why, fix=error.fix))
    if isinstance(error, TerraceError | PartialError):
        return str(error)
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
