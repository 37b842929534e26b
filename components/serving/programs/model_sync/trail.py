"""Tells the audit log which version came into production when, and by whom: what the models' histories say.

The histories are in the registry, and what of them was told is on disk, so nothing is lost by a kill. What is told
twice has the same id, by which the audit log knows it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import requests

from .history import Move

LOG = logging.getLogger(__name__)
SECONDS = 10.0


class Trail:
    """What the audit log was told.

    Args:
        log: The audit log's address; empty where there is none.
        file: Where it's noted: model → when the last move that was told came into production.
        token: What is shown to the log; empty where it knows who this is.
    """

    def __init__(self, log: str, file: Path, token: str = "") -> None:
        self._log, self._file = log, file
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def tell(self, histories: Mapping[str, Sequence[Move]]) -> None:
        """Tell what is new; where nobody takes it, it is told the next time."""
        if not self._log:
            return
        told: dict[str, str] = json.loads(self._file.read_text(encoding="utf-8")) if self._file.exists() else {}
        new = [(model, move) for model, moves in histories.items() for move in moves if move.at > told.get(model, "")]
        if not new:
            return
        try:
            body = {"events": [_event(model, move) for model, move in new]}
            answer = requests.post(f"{self._log}/events", json=body, headers=self._headers, timeout=SECONDS)
            answer.raise_for_status()
        except requests.RequestException as error:
            LOG.warning("the audit log is not told yet: %s", error)
            return
        told |= {model: max(move.at for move in moves) for model, moves in histories.items() if moves}
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(told), encoding="utf-8")
        fresh.rename(self._file)


def _event(model: str, move: Move) -> dict[str, Any]:
    return {
        "id": hashlib.sha256(f"{model} {move.version} {move.at}".encode()).hexdigest()[:32],
        "at": move.at,
        "actor": move.by,
        "action": "deploy",
        "object": f"serving: {model} version {move.version}",
        "outcome": "ok",
        "detail": f"by {move.how}, in place of version {move.previous or 'none'}",
    }
