"""Finds a stack's passphrase, or makes one the first time."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from terrace.errors import InputError

_WORD_BYTES = 32


@dataclass(frozen=True)
class Passphrase:
    """A stack's passphrase.

    Attributes:
        value: The passphrase itself; never print it.
        source: Where it came from, to print: an environment variable's name or a file.
        made: Whether it was made just now, which the user should be told.
    """

    value: str
    source: str
    made: bool = False

    def __repr__(self) -> str:
        return f"Passphrase(source={self.source!r}, made={self.made})"


def passphrase_file(project: str, stack: str) -> Path:
    """Where a generated passphrase is kept: outside every checkout, readable by its owner only."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "terrace" / project / f"{stack}.passphrase"


def find_passphrase(project: str, stack: str, *, has_secrets: bool = False) -> Passphrase:
    """The passphrase of a stack, as the Pulumi CLI finds it, else from Terrace's own file, else a new one.

    Args:
        project: The project's name.
        stack: The stack's name.
        has_secrets: The stack was encrypted already, so a new passphrase couldn't open it: fail instead.

    Raises:
        InputError: ``PULUMI_CONFIG_PASSPHRASE_FILE`` can't be read, or ``has_secrets`` and nothing was found.
    """
    if (value := os.environ.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        return Passphrase(value, "PULUMI_CONFIG_PASSPHRASE")
    if given := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        return Passphrase(_read(Path(given)), given)
    path = passphrase_file(project, stack)
    if path.exists():
        return Passphrase(_read(path), str(path))
    if has_secrets:
        raise InputError(
            f"the passphrase of stack {stack} is missing",
            where=str(path),
            why="the stack file has an encryptionsalt, so it was encrypted before",
            fix="set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE",
        )
    return Passphrase(_make(path), str(path), made=True)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError("the passphrase file can't be read", where=str(path), why=error.strerror) from error


def _make(path: Path) -> str:
    value = secrets.token_urlsafe(_WORD_BYTES)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:  # another process made it in the meantime
        return _read(path)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    return value
