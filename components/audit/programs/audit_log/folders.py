"""The folder of each key's chain: a platform that is made anew has a new key, and begins a chain beside the old one.

The first record of a chain names the ends of those before it. They are shown until they are too old, and verified by
whoever has kept their key.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from . import reading
from .chain import SOURCE, key_name
from .store import Store, own_event

NAME = re.compile(r"[0-9a-f]{16}")  # see `key_name`


def open_chain(root: Path, key: bytes) -> Store:
    """Open the chain of ``key`` below ``root``; where there is none, begin one.

    Raises:
        BlockingIOError: Another process holds it.
    """
    folder = root / key_name(key)
    folder.mkdir(mode=0o700, exist_ok=True)
    store = Store(folder, key)
    if store.head.sequence == 0:
        ends = [end for other in earlier(root, folder) if (end := _end(other))]
        store.append(SOURCE, [own_event("begin", "audit log", "ok", "; ".join(ends) or "no log was there")])
    return store


def earlier(root: Path, own: Path) -> list[Path]:
    """Return the folders of other chains; whatever else is there, as a volume's ``lost+found``, is none."""
    return sorted(folder for folder in root.iterdir() if NAME.fullmatch(folder.name) and folder != own)


def remove_old(root: Path, own: Path, days: int, now: datetime | None = None) -> None:
    """Remove files of other chains that are older than ``days``, and their folders with the last one."""
    oldest = ((now or datetime.now(UTC)) - timedelta(days=days)).date().isoformat()
    for folder in earlier(root, own):
        for segment in reading.segments(folder):
            if segment.stem < oldest:
                segment.unlink()
        if not reading.segments(folder):
            for file in folder.iterdir():
                file.unlink()
            folder.rmdir()


def _end(folder: Path) -> str:
    """Return how a chain ends, as its head says; nothing where it has none."""
    try:
        head = json.loads((folder / "head.json").read_bytes())
        return f"before it: {folder.name}, {int(head['sequence'])} records, the last sealed {str(head['seal'])[:64]}"
    except (OSError, ValueError, KeyError, TypeError):
        return f"before it: {folder.name}, whose head can't be read"
