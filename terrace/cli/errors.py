"""Turns errors and signals into messages and exit codes."""

from __future__ import annotations

import functools
import json
import signal
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any, NoReturn

import typer

from terrace.errors import InputError, InputErrors, OperationError, OperationErrors, TerraceError

FAILED = 1
WRONG_INPUT = 2
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


_received: list[int] = []  # signals that ask for the end, other than Ctrl-C's


def reported(command: Callable[..., None]) -> Callable[..., None]:
    """Make ``command`` end with a message and an exit code instead of a traceback.

    With ``--json`` the message is a JSON list on standard error, ``[{"error": {where, what, why, fix}}]``.
    """

    @functools.wraps(command)
    def run(*args: Any, **options: Any) -> None:
        signal.signal(signal.SIGTERM, _terminate)
        try:
            command(*args, **options)
        except TerraceError as error:
            print_errors(split(error), as_json=bool(options.get("as_json")))
            raise typer.Exit(WRONG_INPUT if isinstance(error, InputError) else FAILED) from None
        except KeyboardInterrupt:
            stopped = OperationError("stopped at once", fix="run the same command again to carry on")
            print_errors([stopped], as_json=bool(options.get("as_json")))
            raise typer.Exit(stopped_code()) from None

    return run


def stopped_code() -> int:
    """Return the exit code of a command that was stopped: 143 after SIGTERM, else 130."""
    return TERMINATED if signal.SIGTERM in _received else INTERRUPTED


def split(error: TerraceError) -> tuple[TerraceError, ...]:
    """Return the errors that ``error`` is made of."""
    return error.errors if isinstance(error, InputErrors | OperationErrors) else (error,)


def print_errors(errors: Iterable[TerraceError], *, as_json: bool) -> None:
    """Print ``errors`` on standard error."""
    if as_json:
        typer.echo(json.dumps([{"error": _record(error)} for error in errors]), err=True)
        return
    for error in errors:
        typer.secho("error: ", fg=typer.colors.RED, bold=True, err=True, nl=False)
        typer.echo(str(error), err=True)


def _record(error: TerraceError) -> dict[str, str | None]:
    where = str(error.where) if error.where else None
    return {"where": where, "what": error.what, "why": error.why, "fix": error.fix}


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    """Stop as Ctrl-C does: what runs is waited for, a second signal stops at once."""
    _received.append(number)
    raise KeyboardInterrupt
