"""Pulumi's lock files: one operation on a stack at a time, whichever engine runs it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.engine.backend import Backend
from terrace.engine.errors import LockError
from terrace.engine.files import remove_durably, write_durably
from terrace.engine.state import now

# Tells this engine's locks from the Pulumi CLI's, which ignores the field. A dead CLI may have left a provider process
# that still works, so only the user can say that its lock is stale; this engine's providers die with it.
_ENGINE = "terrace"


@dataclass(frozen=True)
class Holder:
    """Who holds a lock."""

    path: Path
    pid: int
    user: str
    host: str
    since: str
    started: str
    namespace: str
    engine: str
    abandoned: bool

    def is_dead(self) -> bool:
        """Whether the holder surely doesn't run any more: it said so, or its process on this machine is gone."""
        if self.abandoned:
            return True
        if self.engine != _ENGINE or self.host != socket.gethostname() or self.namespace != _namespace():
            return False
        return _started(self.pid) != self.started


class Lock:
    """The lock of one stack. A context manager; a lock whose holder died on this machine is taken over.

    It stays as long as there is a journal, so that the Pulumi CLI doesn't read a state without its journal.
    """

    def __init__(self, backend: Backend) -> None:
        self._folder = backend.locks
        self._path = backend.locks / f"{uuid.uuid4()}.json"
        self._scratch = backend.checkpoint.parent
        self._journal = backend.journal
        self._name = backend.qualified_name

    def __enter__(self) -> Lock:
        self._refuse_if_held()
        self._write(abandoned=False)
        try:
            self._refuse_if_held()  # of two that wrote at once, none goes on
        except LockError:
            self._release()
            raise
        for holder in self._others():
            remove_durably(holder.path)  # only now, so that there is always a lock where there is a journal
        return self

    def __exit__(self, type_: type[BaseException] | None, *_: object) -> None:
        if not self._journal.exists():
            self._release()
        elif type_ is None or issubclass(type_, Exception):  # else threads may still work for this process
            with contextlib.suppress(OSError):  # a full disk: the lock is dead when this process is
                self.abandon()

    def abandon(self) -> None:
        """Leave a lock that anybody of this engine may take over, and that the Pulumi CLI respects."""
        self._write(abandoned=True)

    def _write(self, *, abandoned: bool) -> None:
        content = {
            "pid": os.getpid(),
            "username": _user(),
            "hostname": socket.gethostname(),
            "timestamp": now(),
            "engine": _ENGINE,
            "namespace": _namespace(),
            "started": _started(os.getpid()),
            "abandoned": abandoned,
        }
        # Its temporary file lies elsewhere: the Pulumi CLI takes every file in this folder for a lock.
        write_durably(self._path, json.dumps(content).encode(), scratch=self._scratch)

    def _release(self) -> None:
        remove_durably(self._path)

    def _refuse_if_held(self) -> None:
        held = [holder for holder in self._others() if not holder.is_dead()]
        if not held:
            return
        who = "; ".join(f"{item.user}@{item.host} (pid {item.pid}) since {item.since}" for item in held)
        raise LockError(
            f"stack {self._name} is locked by {who}",
            where=str(held[0].path),
            why="another operation on it is running, or was killed",
            fix="wait for it; if it surely isn't running any more, `terrace cancel` (or `pulumi cancel`) unlocks",
        )

    def _others(self) -> list[Holder]:
        return [holder for holder in self.holders() if holder.path != self._path]

    def holders(self) -> list[Holder]:
        """Everyone who holds the stack now."""
        return [holder for path in sorted(self._folder.glob("*.json")) if (holder := _read(path)) is not None]


def cancel(backend: Backend) -> list[Holder]:
    """Remove every lock of the stack; returns whose they were. Only for locks that are surely stale.

    Where there is a journal, one stays that only the Pulumi CLI respects: it can't read what the journal says.
    """
    lock = Lock(backend)
    holders = lock.holders()
    if backend.journal.exists():
        lock.abandon()
    for holder in holders:
        remove_durably(holder.path)
    return [holder for holder in holders if not holder.abandoned]


def _read(path: Path) -> Holder | None:
    try:
        content: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        content = {}
    return Holder(
        path=path,
        pid=int(content.get("pid", 0)),
        user=str(content.get("username", "unknown")),
        host=str(content.get("hostname", "unknown")),
        since=str(content.get("timestamp", "unknown")),
        started=str(content.get("started", "")),
        namespace=str(content.get("namespace", "")),
        engine=str(content.get("engine", "pulumi")),
        abandoned=content.get("abandoned") is True,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in many containers
        return str(os.getuid())


def _namespace() -> str:
    """In which namespace numbers of processes mean something; containers may share a host's name and files."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot and the boot's id; empty if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    if fields[0] in ("Z", "X"):  # killed, and only not yet waited for
        return ""
    return f"{boot}/{fields[19]}"
