"""Logs of steps: files that are bounded, free of secrets and personal data, and only ever appended to."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from .masking import Masker
from .personal import PersonalMasker

# What a log keeps of its end when it is too long: enough for the traceback that ended the step.
TAIL_BYTES = 64 * 1024
# The most that one answer of the API holds.
CHUNK_BYTES = 1024 * 1024


class StepLog:
    """The log of one attempt, appended to ``path``.

    Args:
        path: The step's log; earlier attempts are in it already.
        limit: The size (bytes) after which only the end of the output is kept.
        secrets: What must not be written.
        echo: Told what is written, but nothing that is left out.
    """

    def __init__(
        self, path: Path, limit: int, secrets: Iterable[bytes], echo: Callable[[bytes], object] = lambda _: None
    ) -> None:
        self._file: BinaryIO = path.open("ab", buffering=0)
        self._room = max(0, limit - self._file.tell())
        self._masker = Masker(secrets)
        self._personal = PersonalMasker()
        self._echo = echo
        self._tail = bytearray()
        self._left_out = 0

    def __enter__(self) -> StepLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._append(self._personal.feed(self._masker.flush()) + self._personal.flush())
        if self._left_out:
            self._file.write(b"\n[... %d bytes left out ...]\n" % self._left_out)
        self._file.write(self._tail)
        self._file.close()

    def write(self, data: bytes) -> None:
        """Append the program's next output."""
        self._append(self._personal.feed(self._masker.feed(data)))

    def note(self, text: str) -> None:
        """Append a line of the service's own."""
        self._append(f"[pipelines] {text}\n".encode())

    def _append(self, data: bytes) -> None:
        head = data[: self._room]
        self._room -= len(head)
        self._file.write(head)
        self._echo(head)
        self._tail += data[len(head) :]
        too_much = len(self._tail) - TAIL_BYTES
        if too_much > 0:
            del self._tail[:too_much]
            self._left_out += too_much


def read_from(path: Path, offset: int) -> bytes:
    """Return the log from ``offset`` (bytes) on, at most 1 MiB; empty when there is nothing (yet)."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(CHUNK_BYTES)
    except FileNotFoundError:
        return b""
