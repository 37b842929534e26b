"""What the cleanup remembers, in files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

EMPTY: dict[str, Any] = {
    "started": None,
    "ended": None,
    "succeeded": None,
    "error": "",
    "held": 0,
    "waiting": 0,
    "failed": 0,
    "removed": {"model": 0, "run": 0, "experiment": 0},
    "freed_bytes": 0,
    "removing": None,
}
STATE = "state.json"


class Records:
    """The files in a folder.

    The state has ``started``, ``ended``, and ``succeeded`` (seconds since the epoch; None for not yet) and ``error`` of
    the last attempt; how many deleted things are ``held`` and ``waiting``, and ``failed`` to be removed; since ever,
    how many of each kind were ``removed`` and ``freed_bytes``; and what is ``removing`` right now.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._state, self._seen, self._untold = (folder / name for name in (STATE, "seen.json", "untold.jsonl"))

    def state(self) -> dict[str, Any]:
        """Return the state."""
        known: dict[str, Any] = json.loads(_text(self._state) or "{}")
        return EMPTY | known

    def note(self, **values: Any) -> None:
        """Change some of the state."""
        _write(self._state, json.dumps(self.state() | values))

    def seen(self) -> dict[str, float]:
        """Return since when each deleted thing was there with nothing that held it (seconds since the epoch)."""
        found: dict[str, float] = json.loads(_text(self._seen) or "{}")
        return found

    def keep_seen(self, moments: Mapping[str, float]) -> None:
        """Keep that."""
        _write(self._seen, json.dumps(moments))

    def untold(self) -> list[dict[str, Any]]:
        """Return the events that the audit log lacks; what a power cut has left of one is no event."""
        found = []
        for line in _text(self._untold).splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return found

    def add_untold(self, event: Mapping[str, Any]) -> None:
        """Add one."""
        with self._untold.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(event)}\n")

    def keep_untold(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Keep these alone."""
        _write(self._untold, "".join(f"{json.dumps(event)}\n" for event in events))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def _write(file: Path, text: str) -> None:
    new = file.with_suffix(".new")
    with new.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    new.rename(file)
