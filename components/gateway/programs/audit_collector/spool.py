"""nginx's log of requests as a spool: what of it was sent, and new files in time.

The file that nginx writes is moved aside when it's large and all of it was sent; nginx then opens a new one. The old
one is followed for a while, since a process of nginx that is about to end may still write to it, and removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

LARGEST_BYTES = 8 * 2**20  # of a file, before it's moved aside
PASS_BYTES = 2**20  # of lines at once
QUIET_SECONDS = 3600.0  # after which nobody writes to a file that was moved aside


class Spool:
    """The lines of nginx's log, in their order, each handed out until it's done.

    Args:
        path: The file that nginx writes.
        reopen: Has nginx open it anew.

    Attributes:
        aside: The file of lines that are put aside.
        seen: Who was seen when, as of the lines that were sent.
    """

    def __init__(self, path: Path, reopen: Callable[[], None]) -> None:
        self._path, self._reopen = path, reopen
        self._old = path.with_suffix(".old")
        self._cursor = path.with_suffix(".sent")
        self.aside = path.with_suffix(".refused")
        self._sent: dict[str, int] = {}  # name of a file → how much of it (bytes)
        self._pending: tuple[str, int, int] | None = None  # what is about to be sent: a file's name, begin, and end
        self._moving = False
        self.seen: dict[str, float] = {}
        self._read()

    def next(self) -> list[str]:
        """Return lines that were not sent yet, those of before a kill again; none where there are none."""
        if self._pending is None:
            self._rotate()
            for path in (self._old, self._path):
                if pending := self._lines_of(path):
                    self._pending = pending
                    self._write()
                    break
            else:
                return []
        name, begin, end = self._pending
        with self._path.with_name(name).open("rb") as file:
            file.seek(begin)
            # A line ends where nginx ends it: a path may hold what Unicode calls an end of line.
            return [line.decode(errors="replace") for line in file.read(end - begin).removesuffix(b"\n").split(b"\n")]

    def done(self, seen: Mapping[str, float]) -> None:
        """Note that what was handed out was sent, and who was seen when."""
        if self._pending:
            name, _, end = self._pending
            self._sent[name] = end
            self.seen = dict(seen)
            self._pending = None
            self._write()

    def put_aside(self, lines: list[str]) -> None:
        """Keep lines that nobody takes or understands."""
        with self.aside.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    def _lines_of(self, path: Path) -> tuple[str, int, int] | None:
        """Return a file's name and the places between which there are whole lines to send."""
        begin = self._sent.get(path.name, 0)
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < begin:
                    begin = 0  # somebody has put another in its place
                file.seek(begin)
                size = file.read(PASS_BYTES).rfind(b"\n") + 1
        except FileNotFoundError:
            return None
        return (path.name, begin, begin + size) if size else None

    def _rotate(self) -> None:
        """Move the file aside if it's large and all of it was sent; remove the one before when it's quiet."""
        old, path = self._old, self._path
        if old.exists():
            if not path.exists():
                with contextlib.suppress(OSError, ValueError):  # nginx doesn't run, and opens it when it starts
                    self._reopen()
            found = old.stat()
            if found.st_size == self._sent.get(old.name, 0) and time.time() - found.st_mtime > QUIET_SECONDS:
                old.unlink()
        elif path.exists() and LARGEST_BYTES <= path.stat().st_size <= self._sent.get(path.name, 0):
            # Noted before it's moved, so that a kill between the two leaves no doubt what is which.
            self._sent, self._moving = {old.name: self._sent[path.name]}, True
            self._write()
            self._move()

    def _move(self) -> None:
        if self._path.exists() and not self._old.exists():
            self._path.rename(self._old)
        self._moving = False
        self._write()

    def _read(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            found = json.loads(self._cursor.read_text(encoding="utf-8"))
            self._sent, self._moving, self.seen = found["sent"], found["moving"], found.get("seen", {})
            self._pending = tuple(found["pending"]) if found["pending"] else None
        if self._moving:
            self._move()

    def _write(self) -> None:
        new = self._cursor.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            known = {"sent": self._sent, "pending": self._pending, "moving": self._moving, "seen": self.seen}
            json.dump(known, file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(self._cursor)
