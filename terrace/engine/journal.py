"""The journal: what an operation did so far, appended beside the checkpoint.

With it, a step costs its own size and not the whole state's. Each line is a JSON array of entries that count together.
The first line names the checkpoint that the journal continues, by its SHA-256, the last one the checkpoint that it is
folded into. A line that a crash cut off is as if it never was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.engine.errors import StateError
from terrace.engine.files import remove_durably, sync_folder
from terrace.engine.state import now

Entry = dict[str, Any]


class Journal:
    """An open journal. Threads that append at the same time share one fsync.

    Args:
        path: The file; it mustn't be there.
        checkpoint: What it continues.
        operation: What is done.
        salt: Of the secrets in its entries.

    What can't be written, because the disk is full, say, ends it: nothing is appended any more.
    """

    def __init__(self, path: Path, checkpoint: Path, operation: str, salt: str = "") -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._buffer: list[bytes] = []
        self._buffered = 0
        self._durable = 0
        self._length = 0
        self._failed = False
        self._buffering = threading.Lock()
        self._writing = threading.Lock()
        self.append([{"t": "open", "base": digest(checkpoint), "operation": operation, "salt": salt, "time": now()}])
        sync_folder(path.parent)

    def append(self, entries: list[Entry], *, durable: bool = True) -> None:
        """Append entries. If ``durable``, they are on disk afterwards, else with the next durable ones.

        Raises:
            OSError: They can't be written, or earlier ones couldn't.
        """
        line = _line(entries)
        with self._buffering:
            self._buffer.append(line)
            self._buffered += 1
            mine = self._buffered
        if not durable:
            return
        with self._writing:
            if self._durable >= mine:
                return
            if self._failed:
                raise OSError(errno.EIO, "the journal couldn't be written", str(self._path))
            with self._buffering:
                lines, self._buffer, upto = self._buffer, [], self._buffered
            self._write(b"".join(lines))
            self._durable = upto

    def _write(self, content: bytes) -> None:
        try:
            _write(self._file, content)
            os.fsync(self._file)
        except OSError:
            self._failed = True
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._length)  # no half line, which would look like damage
            raise
        self._length += len(content)

    def folding(self, checkpoint: bytes) -> None:
        """Note which checkpoint is about to replace base and journal."""
        self.append([_folded(checkpoint)])

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it when everything in it is in the checkpoint."""
        with self._writing:  # a provider's thread that outlives the operation mustn't write into another file
            self._failed = True
            os.close(self._file)
        if remove:
            remove_durably(self._path)


@dataclass(frozen=True)
class Left:
    """A journal that a dead operation left.

    Attributes:
        path: The file.
        entries: What it says.
        is_folded: Whether the checkpoint has all of it already.
    """

    path: Path
    entries: list[Entry]
    is_folded: bool

    @property
    def salt(self) -> str:
        """Of the secrets in its entries; empty if the journal doesn't say."""
        return str(self.entries[0].get("salt", "")) if self.entries else ""

    def unfinished(self) -> list[tuple[str, str]]:
        """The (operation, URN) pairs that were begun and not ended."""
        begun: dict[int, tuple[str, str]] = {}
        for entry in self.entries:
            if entry["t"] == "begin":
                begun[entry["i"]] = (entry["op"], entry["r"]["urn"])
            elif entry["t"] == "end":
                begun.pop(entry["i"], None)
        return list(begun.values())

    def folding(self, checkpoint: bytes) -> None:
        """Note which checkpoint is about to replace base and journal, instead of the line that was cut off, if any."""
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND)
        try:
            os.ftruncate(handle, self.path.read_bytes().rfind(b"\n") + 1)
            _write(handle, _line([_folded(checkpoint)]))
            os.fsync(handle)
        finally:
            os.close(handle)

    def remove(self) -> None:
        """Remove the file."""
        remove_durably(self.path)


def digest(path: Path) -> str:
    """The SHA-256 of a file, empty if there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def read(path: Path, checkpoint: Path) -> Left | None:
    """The journal that a dead operation left, or None.

    Raises:
        StateError: The journal is damaged, or continues another checkpoint than the one that is there.
    """
    if not path.exists():
        return None
    entries = _entries(path)
    now_there = digest(checkpoint)
    if not entries or any(entry["t"] == "folded" and entry["to"] == now_there for entry in entries):
        return Left(path, entries, is_folded=True)
    if entries[0].get("base") != now_there:
        raise StateError(
            "an interrupted operation left a journal, but the state was changed since",
            where=str(path),
            why=f"{checkpoint} isn't the file that the journal continues: perhaps the Pulumi CLI ran after "
            "`pulumi cancel`",
            fix="compare with what is really there (`pulumi refresh`), then remove the journal",
        )
    return Left(path, entries, is_folded=False)


def _entries(path: Path) -> list[Entry]:
    entries: list[Entry] = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline was cut off
        try:
            found = json.loads(line)
        except ValueError as error:
            raise _damaged(f"{path}:{number}", str(error)) from error
        if not isinstance(found, list) or not all(isinstance(entry, dict) and "t" in entry for entry in found):
            raise _damaged(f"{path}:{number}", "it is no journal entry")
        entries.extend(found)
    if entries and entries[0].get("t") != "open":
        raise _damaged(str(path), "it has no beginning")
    return entries


def _damaged(where: str, why: str) -> StateError:
    return StateError("the journal is damaged", where=where, why=why)


def _line(entries: list[Entry]) -> bytes:
    return json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def _folded(checkpoint: bytes) -> Entry:
    return {"t": "folded", "to": hashlib.sha256(checkpoint).hexdigest()}


def _write(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]
