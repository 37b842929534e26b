"""An audit log in a folder, and events for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.audit.programs.audit_log.events import Event, parse
from components.audit.programs.audit_log.store import Store

KEY = b"the-seals-key"
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(number: int, **changes: Any) -> Event:
    """Return an event whose id is made of ``number``."""
    document = {
        "id": f"event-{number:04d}",
        "at": DAY.isoformat(),
        "actor": "ann",
        "action": "predict",
        "object": "serving: flights",
        "outcome": "ok",
    }
    return parse({**document, **changes})


def filled(folder: Path, records: int) -> None:
    """Write a log of so many records, and close it."""
    folder.mkdir(exist_ok=True)
    store = Store(folder, KEY)
    store.append("gateway", [event(number) for number in range(1, records + 1)], DAY)
    store.close()


def segment(folder: Path) -> Path:
    """Return the log's last file."""
    return sorted(folder.glob("*.jsonl"))[-1]


def edit(folder: Path, change: Callable[[list[str]], list[str]]) -> None:
    """Change the lines of the log's last file."""
    path = segment(folder)
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))


def records(folder: Path) -> list[dict[str, Any]]:
    """Return what the log's files hold."""
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]
