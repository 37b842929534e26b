"""From lines of nginx's log to events: who did what to what, how it ended, and how often.

A line says account, method, path, and status, and the slot where the gateway asked for the account; a query, a body,
and the client's address are not in it. Where a service asks for the account itself, its status tells whether it was
right.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

READING = ("GET", "HEAD", "OPTIONS")
SESSION_SECONDS = 1800  # who was away for longer logs in anew
UNKNOWN = "unknown"
# Services that ask for the account themselves, and what of them anybody is answered.
OWN = (
    (re.compile(r"/mlflow/.*(registered-models|model-versions)/"), "registry"),
    (re.compile(r"/mlflow/"), "tracking"),
    (re.compile(r"/pipelines/"), "pipelines"),
)
OPEN = re.compile(r"/\w+/(health|version|metrics|favicon\.ico|static-files/.*|manifest\.json)")
# Reading counts where it's data that is read, or the audit log.
READ_SLOTS = {"tracking", "registry", "feature_store", "data_versioning", "serving", "pipelines", "audit"}


class Rule(NamedTuple):
    """What requests to a slot mean, by «METHOD path»; the group is what it was done to."""

    slot: str
    request: re.Pattern[str]
    action: str


def _rule(slot: str, request: str, action: str) -> Rule:
    return Rule(slot, re.compile(request), action)


RULES = (
    _rule("serving", r"POST /serving/v2/models/([^/]+).*/infer", "predict"),
    _rule("feature_store", r"POST /feast/(get-online-features)", "read_features"),
    _rule("feature_store", r"POST /feast/(push|write-to-online-store|materialize.*)", "write_features"),
    _rule("data_versioning", r"(?:GET|HEAD) /dvc/(.*)", "read_data"),
    _rule("data_versioning", r"PUT /dvc/(.*)", "write_data"),
    _rule("tracking", r"(?:GET|HEAD) .*/(?:mlflow-artifacts/artifacts|get-artifact)/?(.*)", "read_artifact"),
    _rule("registry", r"(?:GET|HEAD) .*/(get-artifact)", "read_artifact"),
    _rule("tracking", r"[A-Z]+ .*/mlflow-artifacts/(.*)", "change_artifact"),
    _rule("pipelines", r"POST /pipelines/api/pipelines/([^/]+)/runs", "run_pipeline"),
    _rule("pipelines", r"POST /pipelines/api/runs/([^/]+)/cancel", "cancel_run"),
    _rule("pipelines", r"PUT /pipelines/api/pipelines/([^/]+)", "send_pipeline"),
    _rule("pipelines", r"DELETE /pipelines/api/pipelines/([^/]+)", "remove_pipeline"),
    _rule("monitoring", r"(?:POST|DELETE) /alertmanager/(api/v2/silences?.*)", "silence_alert"),
    _rule("monitoring", r"POST /prometheus/(.*)", "read"),
    # MLflow searches by POST.
    _rule("tracking", r"POST .*/(search|search-[\w-]+|get-[\w-]+|graphql)", "read"),
    _rule("registry", r"POST .*/(search|get-[\w-]+)", "read"),
)


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
        seen: When who was seen last.

    Attributes:
        seen: As of the events that were taken, so that the same requests are the same events again until they are.
    """

    def __init__(self, accounts: Iterable[str], seen: Mapping[str, float] | None = None) -> None:
        self.accounts = set(accounts)
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
        slot = request.slot or next((slot for path, slot in OWN if path.match(request.path)), "")
        if not request.user or not slot or (not request.slot and OPEN.fullmatch(request.path)):
            return
        sure = bool(request.slot) or request.status < 400  # else nobody may have asked for the password
        actor = request.user if sure and request.status != 401 else self._known(request.user)
        if request.status == 401:
            yield actor, "login", slot, "refused"
            return
        if sure and self._is_new(request):
            yield actor, "login", slot, "ok"
        action, about = _meaning(request, slot)
        if action == "read" and slot not in READ_SLOTS and request.status != 403:
            return
        if slot == "audit" and request.method == "POST" and request.status < 400:
            return  # Terrace's commands send what they did
        outcome = "ok" if request.status < 400 else "refused" if request.status == 403 else "failed"
        yield actor, action, f"{slot}: {about}" if about else slot, outcome

    def _known(self, user: str) -> str:
        return user if user in self.accounts else UNKNOWN

    def _is_new(self, request: Request) -> bool:
        now = datetime.fromisoformat(request.time).timestamp()
        before = self._now_seen.get(request.user, 0.0)
        self._now_seen[request.user] = now
        return now - before > SESSION_SECONDS


def _meaning(request: Request, slot: str) -> tuple[str, str]:
    """Return what a request does, and to what; only changes are told apart by path."""
    line = f"{request.method} {request.path}"
    for rule in RULES:
        if rule.slot == slot and (found := rule.request.fullmatch(line)):
            return rule.action, "" if rule.action == "read" else found[1]
    if request.method in READING:
        return "read", ""
    return "change", f"{request.method} {request.path}"
