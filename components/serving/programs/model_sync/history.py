"""What was in production when, by whom: a tag of the registered model that the deployer alone writes.

Whoever moves the alias may say who they are in another tag; where they don't, the history says so.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

HISTORY_TAG = "terrace.serving.history"
REQUEST_TAG = "terrace.serving.request"
KEPT_MOVES = 50
ROLLBACK = "rollback"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Move:
    """A version that came into production.

    Args:
        version: The version.
        previous: The one that was in production before it, if one was.
        at: When it was first served, ISO 8601 in UTC.
        by: Who moved the alias.
        how: By what: ``promote`` or ``rollback`` (Terrace's commands), a pipeline's name, ``alias`` for by hand.
    """

    version: str
    previous: str | None
    at: str
    by: str = UNKNOWN
    how: str = "alias"


def read(tags: Mapping[str, str]) -> tuple[Move, ...]:
    """Return a model's history, the latest move last; what nobody can read counts as none."""
    try:
        return tuple(Move(**each) for each in json.loads(tags.get(HISTORY_TAG, "[]")))
    except (ValueError, TypeError):
        return ()


def write(moves: Sequence[Move]) -> str:
    """Return the tag's value."""
    return json.dumps([asdict(move) for move in moves[-KEPT_MOVES:]])


def request(version: str, by: str, how: str) -> str:
    """Return the value of the tag that says who is about to move the alias to ``version``."""
    return json.dumps({"version": version, "by": by, "how": how})


def moved(tags: Mapping[str, str], version: str, at: str) -> tuple[Move, ...]:
    """Return a model's history with ``version`` as what is in production since ``at``."""
    moves = read(tags)
    previous = moves[-1].version if moves else None
    try:
        asked = json.loads(tags.get(REQUEST_TAG, "{}"))
        known = {key: str(asked[key]) for key in ("by", "how")} if asked.get("version") == version else {}
    except (ValueError, KeyError, AttributeError):
        known = {}
    return (*moves, Move(version, previous, at, **known))


def before(moves: Sequence[Move]) -> str | None:
    """Return the version that a rollback goes back to: what the version in production once took the place of.

    A rollback is no step forward: going back twice goes two steps back, not back and forth.
    """
    if not moves:
        return None
    steps = [move for move in moves if move.version == moves[-1].version and move.how != ROLLBACK]
    return steps[-1].previous if steps else None
