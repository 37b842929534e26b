"""The programs that both engines must treat alike, and what is done with each."""

from __future__ import annotations

from pathlib import Path

PROGRAMS = Path(__file__).parent / "programs"

# (operation, stage of the program) in order. `drift` changes the world behind the engine's back.
_UPS = [("up", 1), ("up", 1), ("up", 2), ("destroy", 2)]
CASES: dict[str, list[tuple[str, int]]] = {
    "basic": [("up", 1), ("up", 1), ("up", 2), ("up", 3), ("up", 4), ("up", 4), ("destroy", 4)],
    "delete_first": _UPS,
    "components": [("up", 1), ("up", 1), ("destroy", 1), ("up", 2), ("destroy", 2)],
    "secret_values": _UPS,
    "aliases": [("up", 1), ("up", 2), ("up", 2), ("destroy", 2)],
    "protect": [("up", 1), ("up", 2), ("up", 3), ("up", 4), ("up", 5), ("destroy", 5)],
    "deleting": [("up", 1), ("up", 2), ("up", 2)],
    "changes": _UPS,
    "failing": [("up", 1), ("up", 2), ("up", 3), ("up", 4), ("destroy", 4)],
    "failing_delete": [("up", 1), ("destroy", 1), ("up", 2), ("up", 3)],
    "replacing_fails": [("up", 1), ("up", 2), ("up", 3), ("destroy", 3)],
    "options": [("up", 1), ("destroy", 1)],
    "reading": [("up", 1), ("up", 2), ("up", 2), ("destroy", 2)],
    "refused": [("up", 1), ("up", 2)],
    "raising": [("up", 1), ("up", 2)],
    "drifting": [("up", 1), ("drift", 1), ("refresh", 1), ("up", 1)],
}
