"""The log on disk: a file of lines per day, sealed and chained, and beside them its head and its start.

What :meth:`Store.append` has returned from lies on the disk and is named by the head. A kill between the two leaves
records that the head doesn't name yet, which the next start takes over, or half a line, which it cuts off. Damage is
never repaired: the log goes on behind it, and it shows.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from . import reading
from .chain import DAMAGE, SEAL, SOURCE, Point, Verification, is_sealed, sealed
from .events import Event

REMEMBERED = 50_000  # ids of the last events, by which one that comes again is known


class Store:
    """The log in a folder; one process at a time holds it.

    Args:
        folder: Where it lies.
        key: What records are sealed with.

    Attributes:
        head: Where the log ends.
        folder: Where it lies.

    Raises:
        BlockingIOError: Another process holds it.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder, self._key = folder, key
        self._lock = threading.Lock()
        self._held = (folder / "lock").open("w")
        self._hold()
        self._ids: OrderedDict[str, None] = OrderedDict()
        self.head, damage = self._open()
        self._seen, self._touched = self._prints(), False
        if damage:
            self.append(SOURCE, [own_event(DAMAGE, "audit log", "failed", damage)])

    def close(self) -> None:
        """Let another hold it."""
        self._held.close()

    def append(self, source: str, events: Iterable[Event], now: datetime | None = None) -> int:
        """Write events down, but those that are there already, and return how many were new.

        Raises:
            OSError: They could not be written; none of them is there.
        """
        with self._lock:
            fresh = {event.id: event for event in events if event.id not in self._ids}
            if fresh:
                self._write(source, list(fresh.values()), now or datetime.now(UTC))
            return len(fresh)

    def verify(self, known: Mapping[int, str] | None = None) -> list[str]:
        """Go over the whole log and return all that doesn't fit; nothing if it is whole.

        Args:
            known: Number → seal of records that were seen before.
        """
        with self._lock:  # what is appended meanwhile lies behind this end
            start, head, prints = self._read_point("start"), self._read_point("head"), self._prints()
        verification = Verification(self._key, start, known or {})
        for segment, (_, size, _) in prints.items():
            if segment.suffix == ".jsonl":
                with segment.open("rb") as file:
                    verification.lines(_within(file, size), segment.name)
        verification.end(head)
        return verification.problems

    def touched(self) -> bool:
        """Tell whether somebody else has changed files since this was last asked."""
        with self._lock:
            prints = self._prints()
            touched = self._touched or prints != self._seen
            self._seen, self._touched = prints, False
            return touched

    def page(self, cursor: str, most: int) -> dict[str, Any]:
        """Return a page of the log as it is: lines, the cursor behind them, and the log's start and head."""
        with self._lock:
            lines, following = reading.page(self.folder, cursor, most)
            return {"lines": lines, "next": following, "start": self._document("start"), "head": self._document("head")}

    def find(self, since: str, actor: str, action: str, most: int) -> list[dict[str, Any]]:
        """Return the last records that somebody looks for, as :func:`reading.find` does, also of earlier chains."""
        return reading.find(self.folder.parent, since, actor, action, most)

    def retain(self, days: int, now: datetime | None = None) -> int:
        """Remove whole files that are older than ``days``, and return how many; the last file stays.

        The chain goes on from the new start, and a record says what was removed.
        """
        today = now or datetime.now(UTC)
        oldest = (today - timedelta(days=days)).date().isoformat()
        with self._lock:
            old = [segment for segment in reading.segments(self.folder)[:-1] if segment.stem < oldest]
            last = _last(old)
            if last is None:
                return 0
            self._write_point("start", Point(self.head.chain, last["sequence"], last[SEAL]))
            for segment in old:
                segment.unlink()
            self._seen = self._prints()
        about = f"records up to {last['sequence']}"
        self.append(SOURCE, [own_event("retention", about, "ok", f"older than {days} days", today)], today)
        return len(old)

    def _hold(self) -> None:
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise

    def _open(self) -> tuple[Point, str]:
        """Return where the log ends, and what was found damaged."""
        start, head = self._read_point("start"), self._read_point("head")
        segments = self._without_removed(start)
        if not segments and not (self.folder / "head.json").exists():
            begun = Point(secrets.token_hex(8))
            self._write_point("start", begun)
            self._write_point("head", begun)
            return begun, ""
        last = _last(segments)
        found = Point(start.chain if start else "unknown", last["sequence"], last[SEAL]) if last else start
        end = head or found or Point("unknown")
        for segment in segments[-2:]:
            end = self._take_over(segment, end)
        self._write_point("head", end)
        return end, "" if head else "its head was changed or removed while nobody wrote"

    def _without_removed(self, start: Point | None) -> list[Path]:
        """Return the files, without those that retention had been about to remove when it was killed."""
        segments = reading.segments(self.folder)
        for segment in segments[:-1]:
            last = _last([segment])
            if not start or not last or last["sequence"] > start.sequence:
                break
            segment.unlink()
        return reading.segments(self.folder)

    def _take_over(self, segment: Path, end: Point) -> Point:
        """Remember the ids of a file's events, and take over what the head doesn't name yet; cut half a line off."""
        content = segment.read_bytes()
        whole = content.rfind(b"\n") + 1
        for record in map(reading.parsed, content[:whole].splitlines()):
            self._remember(str(record.get("id", "")))
            follows = record.get("sequence") == end.sequence + 1 and record.get("previous") == end.seal
            if follows and is_sealed(self._key, record):
                end = Point(end.chain, end.sequence + 1, record[SEAL])
        if whole < len(content):
            os.truncate(segment, whole)
        return end

    def _write(self, source: str, events: list[Event], now: datetime) -> None:
        self._touched = self._touched or self._prints() != self._seen  # its own writing must not hide it
        segments = reading.segments(self.folder)
        name = f"{now.astimezone(UTC).date().isoformat()}.jsonl"
        # A clock that is set back opens no earlier file.
        segment = self.folder / max(name, segments[-1].name if segments else "")
        head, lines = self.head, []
        for event in events:
            record = sealed(self._key, _record(source, event, head, now))
            lines.append(json.dumps(record, sort_keys=True) + "\n")
            head = Point(head.chain, head.sequence + 1, record[SEAL])
        self._durably(segment, "".join(lines).encode(), head)
        self.head = head
        for event in events:
            self._remember(event.id)
        self._seen = {**self._seen, **{path: _print(path) for path in (segment, self.folder / "head.json")}}

    def _durably(self, segment: Path, content: bytes, head: Point) -> None:
        """Append to the file and move the head; where that fails, both are as before."""
        fresh = not segment.exists()
        with segment.open("ab", buffering=0) as file:
            before = file.seek(0, os.SEEK_END)
            try:
                _write_all(file.fileno(), content)
                os.fsync(file.fileno())
                if fresh:
                    _sync_folder(self.folder)
                self._write_point("head", head)
            except OSError:
                os.truncate(segment, before)
                raise

    def _remember(self, event: str) -> None:
        self._ids[event] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    def _document(self, name: str) -> Any:
        try:
            return json.loads((self.folder / f"{name}.json").read_bytes())
        except (OSError, ValueError):
            return None

    def _read_point(self, name: str) -> Point | None:
        return Point.read(self._key, self._document(name))

    def _write_point(self, name: str, point: Point) -> None:
        path = self.folder / f"{name}.json"
        new = path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(point.document(self._key), file)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        _sync_folder(self.folder)

    def _prints(self) -> dict[Path, tuple[int, int, int]]:
        points = (path for name in ("start", "head") if (path := self.folder / f"{name}.json").exists())
        return {path: _print(path) for path in (*reading.segments(self.folder), *points)}


def own_event(action: str, about: str, outcome: str, detail: str, now: datetime | None = None) -> Event:
    """Return an event of the log itself."""
    at = (now or datetime.now(UTC)).isoformat()
    return Event(secrets.token_hex(16), at, SOURCE, action, about, outcome, detail)


def _record(source: str, event: Event, head: Point, now: datetime) -> dict[str, Any]:
    return {
        **{name: value for name, value in vars(event).items() if value != "" and (name, value) != ("count", 1)},
        "sequence": head.sequence + 1,
        "time": now.astimezone(UTC).isoformat("T", "milliseconds"),
        "source": source,
        "previous": head.seal,
    }


def _last(segments: Iterable[Path]) -> dict[str, Any] | None:
    """Return the last record of files that can be read."""
    for segment in reversed(list(segments)):
        whole = [one for one in reading.records(segment) if isinstance(one.get("sequence"), int) and SEAL in one]
        if whole:
            return whole[-1]
    return None


def _print(path: Path) -> tuple[int, int, int]:
    """Return what changes with a file: which one it is, its size, and when the kernel saw its last change."""
    found = path.stat()
    return found.st_ino, found.st_size, found.st_ctime_ns


def _within(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Return the lines that end within ``size`` bytes; half a line is returned as it is."""
    for line in lines:
        size -= len(line)
        if size < 0:
            return
        yield line


def _write_all(handle: int, content: bytes) -> None:
    while content:
        content = content[os.write(handle, content) :]


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
