"""Errors of the engine. All of them say which file or resource they are about."""

from __future__ import annotations

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


def describe(error: Exception) -> str:
    """What went wrong, in words. The resource is told apart, so a step's error doesn't name it again."""
    if isinstance(error, StepError):
        return str(StepError(error.what, why=error.why, fix=error.fix))
    if isinstance(error, TerraceError):
        return str(error)
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
