"""The audit log as Terrace's commands meet it: what they did goes there, and it is read and verified from here.

journal = Journal.of(project, env)
event = journal.begin("up", "ann", "the platform")
journal.end(event, "ok")
journal.send(AuditLog.of(env, outputs))
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from terrace.engine.files import write_durably
from terrace.errors import InputError, OperationError
from terrace.handover import beside_state
from terrace.redaction import redact
from terrace.web import Client

if TYPE_CHECKING:
    from components.audit.programs.audit_log.chain import Point
    from terrace.engine.project import Project

MOST_AT_ONCE = 500
KEPT_ANCHORS = 50


@dataclass(frozen=True)
class Event:
    """What a command does, and how it ended: ``begun``, ``ok``, ``failed``."""

    id: str
    at: str
    actor: str
    action: str
    object: str
    outcome: str = "begun"
    detail: str = ""


@dataclass(frozen=True)
class Verified:
    """What verifying the log found.

    Attributes:
        chain: The chain's name.
        sequence: The number of the last record.
        problems: All that doesn't fit; nothing if the log is whole.
    """

    chain: str
    sequence: int
    problems: tuple[str, ...]


class AuditLog:
    """The audit log of a platform that is up.

    Args:
        client: Reaches it through the gateway.
        key: What its records are sealed with.
        passwords: What no event may hold.
    """

    def __init__(self, client: Client, key: str, passwords: Any) -> None:
        self._client, self._key, self._passwords = client, key.encode(), passwords

    @classmethod
    def of(cls, outputs: Mapping[str, Any]) -> AuditLog | None:
        """Find it by the stack's outputs, secrets shown; None where the platform isn't up or has none."""
        address = (outputs.get("endpoints") or {}).get("audit")
        if not address:
            return None
        connection, credentials = outputs["connection"], outputs["credentials"]
        account = connection["TERRACE_GATEWAY_USER"], connection["TERRACE_GATEWAY_PASSWORD"]
        passwords = [credentials, outputs.get("people") or {}]
        return cls(
            Client(address, *account, connection.get("TERRACE_CA_FILE")), credentials["audit"]["password"], passwords
        )

    @classmethod
    def require(cls, env: str, outputs: Mapping[str, Any]) -> AuditLog:
        """Find it.

        Raises:
            InputError: There is none.
        """
        if found := cls.of(outputs):
            return found
        if not outputs.get("endpoints"):
            raise InputError(f"{env} isn't up", fix=f"bring it up first: terrace up {env}")
        raise InputError(f"{env} has no audit log", fix="raise its tier to 3, or add `audit: {}` to terrace:platform")

    def record(self, events: list[dict[str, Any]]) -> None:
        """Have events written down; what comes twice is written once.

        Raises:
            OperationError: The log doesn't take them.
        """
        for event in events:
            for name in ("object", "detail"):
                event[name] = redact(event[name], {"password": self._passwords})
        answer = self._client.request("POST", "/events", {"events": events})
        if answer.status != 200:
            raise OperationError("the audit log takes no events", where=answer.url, why=answer.text[:200])

    def find(self, since: str, actor: str, action: str, limit: int) -> list[dict[str, Any]]:
        """Return the last records since a time (ISO 8601 in UTC, or its beginning), by an actor, of an action."""
        query = {"since": since, "actor": actor, "action": action, "limit": limit}
        records: list[dict[str, Any]] = self._get("/records", query)["records"]
        return records

    def verify(self, anchors: Anchors) -> Verified:
        """Read the whole log and verify it here, also against what was seen before; notes what is seen now.

        Raises:
            OperationError: It can't be read.
        """
        # Imported here, since the slot's package brings Pulumi's SDK, which takes a second; recording needs none of it.
        from components.audit.programs.audit_log.chain import Point, Verification

        page = self._get("/log", {})
        start = Point.read(self._key, page["start"])
        chain = start.chain if start else "unknown"
        verification = Verification(self._key, start, anchors.of_chain(chain))
        number = 0
        while True:
            number += 1
            verification.lines(page["lines"], f"page {number}")
            if not page["next"]:
                break
            page = self._get("/log", {"cursor": page["next"]})
            start = Point.read(self._key, page["start"])
            if start and start.sequence > verification.reached:  # retention has removed what wasn't read yet
                return self.verify(anchors)
        head = Point.read(self._key, page["head"])
        verification.end(head)
        problems = [*anchors.problems(chain), *verification.problems]
        if head and not problems:
            anchors.add(head)
        return Verified(chain, head.sequence if head else 0, tuple(problems))

    def _get(self, path: str, query: Mapping[str, Any]) -> Any:
        answer = self._client.request("GET", f"{path}?{urlencode(query)}")
        if answer.status != 200:
            raise OperationError("the audit log can't be read", where=answer.url, why=answer.text[:200])
        return answer.json()


class Anchors:
    """Where the log ended whenever it was verified, kept beside the state: out of reach for who holds the host alone.

    Args:
        file: Where they stand.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: list[dict[str, Any]] = []
        with contextlib.suppress(FileNotFoundError):
            self._known = json.loads(file.read_text(encoding="utf-8"))

    @classmethod
    def of(cls, project: Project, env: str) -> Anchors:
        """Return an environment's."""
        return cls(beside_state(project, env, "audit-anchors.json"))

    def of_chain(self, chain: str) -> dict[int, str]:
        """Return number → seal of the records that were seen of a chain."""
        return {one["sequence"]: one["seal"] for one in self._known if one["chain"] == chain}

    def problems(self, chain: str) -> list[str]:
        """Return what is wrong with a log being this chain."""
        if not self._known or self._known[-1]["chain"] == chain:
            return []
        last = self._known[-1]
        return [
            f"this is another log than the one that was verified at {last['at']} and had {last['sequence']} records; "
            f"if that one was removed on purpose, remove {self._file}"
        ]

    def add(self, head: Point) -> None:
        """Note where the log ends."""
        now = datetime.now(UTC).isoformat("T", "seconds")
        self._known = [*self._known, {**dataclasses.asdict(head), "at": now}][-KEPT_ANCHORS:]
        write_durably(self._file, json.dumps(self._known).encode())

    def forget(self) -> None:
        """Forget them: the log was deleted on purpose."""
        self._file.unlink(missing_ok=True)


class Journal:
    """What commands did and the audit log doesn't have yet, a file each, beside the state.

    A command that was killed leaves its event as ``begun``; the next command sends it.

    Args:
        folder: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, project: Project, env: str) -> Journal:
        """Return an environment's."""
        return cls(beside_state(project, env, "audit"))

    def begin(self, action: str, actor: str, about: str) -> Event:
        """Note that something is about to be done.

        Raises:
            OperationError: It can't be noted, so it should not be done.
        """
        event = Event(secrets.token_hex(16), datetime.now(UTC).isoformat("T", "seconds"), actor, action, about)
        self._put(event.id, event)
        return event

    def end(self, event: Event, outcome: str, detail: str = "") -> None:
        """Note how it ended, in place of its beginning where that wasn't sent yet.

        It has an id of its own: the log may have the beginning though nobody knows, since its answer was lost.
        """
        at = event.at if self._path(event.id).exists() else datetime.now(UTC).isoformat("T", "seconds")
        ended = dataclasses.replace(event, id=f"{event.id}-{outcome}", at=at, outcome=outcome, detail=detail)
        self._put(event.id, ended)

    def waiting(self) -> list[Path]:
        """Return the events that the audit log doesn't have yet, the oldest first."""
        found = []
        for path in self.folder.glob("*.json"):
            with contextlib.suppress(FileNotFoundError):  # another command has sent it
                found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found)]

    def send(self, log: AuditLog) -> None:
        """Have the audit log write them down.

        Another command may send the same, or note an end, at the same time.

        Raises:
            OperationError: It doesn't take them; they are kept.
        """
        while paths := self.waiting()[:MOST_AT_ONCE]:
            sent = {path: content for path in paths if (content := _content(path))}
            if sent:
                log.record([json.loads(content) for content in sent.values()])
            with self._alone():
                for path, content in sent.items():
                    if _content(path) == content:
                        path.unlink()

    def drop(self) -> None:
        """Forget them: this environment has no audit log."""
        for path in self.waiting():
            path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other commands from changing files meanwhile."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _put(self, name: str, event: Event) -> None:
        try:
            with self._alone():
                write_durably(self._path(name), json.dumps(vars(event)).encode())
        except OSError as error:
            raise OperationError(
                "what is done can't be noted for the audit log", where=str(self.folder), why=error.strerror
            ) from None


def _content(path: Path) -> bytes:
    """Return what a file holds; nothing where it is gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
