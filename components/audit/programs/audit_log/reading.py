"""Reads the log's files: page by page, as they are, or what somebody looks for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

BLOCK_BYTES = 2**16  # that are read at once
CURSOR = re.compile(r"(\d{4}-\d\d-\d\d\.jsonl):(\d{1,15})")


def segments(folder: Path) -> list[Path]:
    """Return the files of records, the oldest first."""
    return sorted(folder.glob("*.jsonl"))


def page(folder: Path, cursor: str, most: int) -> tuple[list[str], str]:
    """Return lines from ``cursor`` on, from the beginning where it's empty, and the cursor behind them.

    The cursor is empty when there are no more.

    Raises:
        ValueError: The cursor is none.
    """
    name, offset = "", 0
    if cursor:
        found = CURSOR.fullmatch(cursor)
        if not found:
            raise ValueError(f"{cursor!r} is no cursor")
        name, offset = found[1], int(found[2])
    lines: list[str] = []
    for segment in segments(folder):
        if segment.name < name:
            continue
        with segment.open("rb") as file:
            file.seek(offset if segment.name == name else 0)
            while line := file.readline():
                if len(lines) == most:
                    return lines, f"{segment.name}:{file.tell() - len(line)}"
                lines.append(line.decode(errors="replace").rstrip("\n"))
    return lines, ""


def find(root: Path, since: str, actor: str, action: str, most: int) -> list[dict[str, Any]]:
    """Return the last ``most`` records that were written since a time, by an actor, of an action; empty is any.

    ``root`` holds the folders of all chains. It reads from the end on, and no further than it must. The writer goes on
    meanwhile: lines are only added, and half a line is no record yet.
    """
    found = (
        record
        for record in _latest_first(root, since[:10])
        if str(record.get("time")) >= since
        and actor in ("", record.get("actor"))
        and action in ("", record.get("action"))
    )
    return list(islice(found, most))[::-1]


def _latest_first(root: Path, day: str) -> Iterator[dict[str, Any]]:
    """Yield the records of all chains since a day, without those of files that retention removes meanwhile."""
    written: list[tuple[str, float, Path]] = []
    for segment in root.glob("*/*.jsonl"):
        with suppress(FileNotFoundError):
            written.append((segment.name, segment.stat().st_mtime, segment))
    for name, _, segment in sorted(written, reverse=True):
        if name.removesuffix(".jsonl") >= day:
            with suppress(FileNotFoundError):
                yield from filter(None, map(parsed, _backwards(segment)))


def _backwards(segment: Path) -> Iterator[bytes]:
    """Yield a file's lines, the last first, a block at a time."""
    with segment.open("rb") as file:
        end, rest = file.seek(0, os.SEEK_END), b""
        while end:
            begin = max(0, end - BLOCK_BYTES)
            file.seek(begin)
            rest, *lines = (file.read(end - begin) + rest).split(b"\n")
            yield from reversed(lines)
            end = begin
        yield rest


def records(segment: Path) -> Iterator[dict[str, Any]]:
    """Return a file's records; what can't be read is left out."""
    with segment.open("rb") as file:
        yield from filter(None, map(parsed, file))


def parsed(line: bytes) -> dict[str, Any]:
    """Return a line's record; nothing where it is none."""
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}
