"""A file that predictions wait in until the database has them; several processes write it, one empties it.

A line is written by one call and lies in the kernel before the call returns, so what was written outlives a process
that is killed. It does not outlive a power cut of the machine: that would take a flush to the disk for each request.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CURRENT = "spool.jsonl"
BATCHES = "batch-*.jsonl"
REJECTED = "rejected.jsonl"


class Spool:
    """The folder of the file, and of what was taken from it but is not in the database yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, line: bytes) -> None:
        """Write a line, which ends with a newline.

        Raises:
            OSError: It cannot be written, on a full disk say; nothing of it stays.
        """
        _write(self._folder / CURRENT, line)

    def take(self) -> list[Path]:
        """Return what is to be brought to the database, oldest first; nothing is written to these files any more."""
        waiting = sorted(self._folder.glob(BATCHES))
        current = self._folder / CURRENT
        if not waiting and current.exists():
            batch = self._folder / f"batch-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.jsonl"
            current.rename(batch)
            with _locked(batch):  # who had opened it before has written by now, or will see that it moved
                waiting = [batch]
        return waiting

    def reject(self, line: bytes) -> None:
        """Put a line aside that the database refuses, for people to look at."""
        _write(self._folder / REJECTED, line)

    def waiting_bytes(self) -> int:
        """Return how much is not in the database yet."""
        files = (self._folder / CURRENT, *self._folder.glob(BATCHES))
        return sum(file.stat().st_size for file in files if file.exists())


def _write(file: Path, line: bytes) -> None:
    while True:
        with _locked(file) as descriptor:
            try:
                if file.stat().st_ino != os.fstat(descriptor).st_ino:
                    continue
            except FileNotFoundError:  # it was taken between opening and locking
                continue
            size = os.fstat(descriptor).st_size
            written = os.write(descriptor, line)
            if written == len(line):
                return
            os.ftruncate(descriptor, size)
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes could be written", str(file))


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)
