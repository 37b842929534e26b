"""From lines of nginx's log to events: who did what to what, how it ended, and how often.

A line says account, method, path, and status, and the slot where the gateway asked for the account; a query, a body,
and the client's address are not in it. Where a service asks for the account itself, its status tells whether it was
right; what nginx answers without the service, as a body that is too large, tells nothing of an account.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .acts import READING, Acts, Meaning

SESSION_SECONDS = 1800  # who was away for longer logs in anew
UNKNOWN = "unknown"
GONE = (502, 504)  # the service has said nothing
LEFT = 499  # nginx's own: who asked didn't wait


@dataclass(frozen=True)
class Request:
    """A line of the log."""

    id: str
    time: str
    user: str
    method: str
    path: str
    status: int
    slot: str
    answered: str = "-"  # the service's own status; empty where nginx answered

    @classmethod
    def parse(cls, line: str) -> Request | None:
        """Read a line; None where it is none, as after a power cut."""
        try:
            found: dict[str, Any] = json.loads(line)
            return cls(**{**found, "status": int(found["status"])})
        except (ValueError, KeyError, TypeError):
            return None


class Reader:
    """Makes events of requests; knows who was there lately.

    Args:
        accounts: Names that are accounts; what else is given by who is refused may be anything, a password even.
        acts: What requests mean.
        seen: When who was seen last.

    Attributes:
        seen: As of the events that were taken, so that the same requests are the same events again until they are.
    """

    def __init__(self, accounts: Iterable[str], acts: Acts, seen: Mapping[str, float] | None = None) -> None:
        self.accounts = set(accounts)
        self.acts = acts
        self.seen = dict(seen or {})
        self._now_seen = self.seen

    def events(self, requests: Iterable[Request]) -> list[dict[str, Any]]:
        """Return events, those that are alike as one, in the order of their first."""
        self._now_seen = dict(self.seen)
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for request in requests:
            for actor, action, about, outcome in self._done(request):
                event = found.setdefault(
                    (actor, action, about, outcome),
                    {
                        "id": request.id,
                        "at": request.time,
                        "actor": actor,
                        "action": action,
                        "object": about,
                        "outcome": outcome,
                        "count": 0,
                    },
                )
                event["count"] += 1
                event["id"] = hashlib.sha256(f"{action} {about} {event['id']} {request.id}".encode()).hexdigest()[:32]
        return list(found.values())

    def taken(self) -> None:
        """Note that the events that were last returned are on record."""
        self.seen = self._now_seen

    def _done(self, request: Request) -> Iterable[tuple[str, str, str, str]]:
        meaning = self.acts.meaning(request.method, request.path, request.slot)
        slot, asked = meaning.slot, bool(request.slot)  # else the service asks for the account itself
        if not slot or (not asked and not meaning.action):
            return
        if not request.user:
            yield from self._by_nobody(request, meaning)
            return
        sure = asked or request.status < 400  # else nobody may have asked for the password
        actor = request.user if sure and request.status != 401 else self._known(request.user)
        if not asked and (not request.answered or request.status in GONE):
            actor = UNKNOWN
        if request.status == 401:
            yield actor, "login", slot, "refused"
            return
        if sure and self._is_new(request):
            yield actor, "login", slot, "ok"
        if not meaning.told and request.status != 403:
            return
        if not meaning.action and request.status < 400:
            return
        outcome = "ok" if request.status < 400 else "refused" if request.status == 403 else "failed"
        yield actor, meaning.action or "change", f"{slot}: {meaning.about}" if meaning.about else slot, outcome

    @staticmethod
    def _by_nobody(request: Request, meaning: Meaning) -> Iterable[tuple[str, str, str, str]]:
        """Yield what was changed, or may have been, where the service didn't say by whom; anybody reads its health."""
        done = request.status < 400 or request.status == LEFT or request.status >= 500
        if done and not request.slot and request.method not in READING and meaning.action not in ("", "read"):
            about = f"{meaning.slot}: {meaning.about}" if meaning.about else meaning.slot
            yield UNKNOWN, meaning.action, about, "ok" if request.status < 400 else "failed"

    def _known(self, user: str) -> str:
        return user if user in self.accounts else UNKNOWN

    def _is_new(self, request: Request) -> bool:
        now = datetime.fromisoformat(request.time).timestamp()
        before = self._now_seen.get(request.user, 0.0)
        self._now_seen[request.user] = now
        return now - before > SESSION_SECONDS
