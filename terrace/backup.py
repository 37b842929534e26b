"""Asks the slot ``backup`` on its host to back up, to list backups, and to bring one back.

On a host the slot's service has the program ``backup_agent`` among its files. It is run here, with the service's own
environment: as the service's user, who may read everything, or, for a restore, as root.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrace import remote_facts, ssh
from terrace.errors import InputError, OperationError, TerraceError

SLOT = "backup"
REFUSED = 2  # the agent's exit code for what was refused before anything was touched
CONFIGURATION = Path("/etc/terrace")
SOFTWARE = Path("/opt/terrace")

OnProgress = Callable[[str, float | None], None]


def _ignore(_step: str, _percent: float | None) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Request:
    """Which backup to bring back.

    Args:
        place: A folder with backups; None for the platform's own place.
        snapshot: A backup's id, or the beginning of it; None for the last one.
        password: What opens the backups; None for the platform's own password.
    """

    place: str | None = None
    snapshot: str | None = None
    password: str | None = field(default=None, repr=False)

    def to_json(self) -> str:
        """Return the request as the agent reads it."""
        return json.dumps({"place": self.place, "snapshot": self.snapshot, "password": self.password})


@dataclass(frozen=True)
class Agent:
    """The slot's program on its host.

    Args:
        environment: The environment.
        service: The slot's service.
        host: The host that it is on, as the state keeps it; None for this machine.
    """

    environment: str
    service: str
    host: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, environment: str, outputs: Mapping[str, Any]) -> Agent:
        """Find the agent by the stack's outputs.

        Raises:
            InputError: The platform isn't up, or has no such slot.
        """
        services = outputs.get("services") or ()
        found = [service for service in services if service["slot"] == SLOT]
        if not services:
            raise InputError(f"{environment} isn't up", fix=f"bring it up first: terrace up {environment}")
        if not found:
            raise InputError(
                f"{environment} has no backups", fix="raise its tier to 2, or add `backup: {}` to terrace:platform"
            )
        hosts = {host["name"]: host for host in outputs.get("hosts") or () if host["connection"] != "local"}
        return cls(environment, found[0]["name"], hosts.get(found[0].get("host")))

    def back_up(self, on_progress: OnProgress = _ignore) -> dict[str, Any]:
        """Back up now and return the backup's ``id``, ``repository``, ``bytes``, ``added_bytes``, and ``seconds``.

        Raises:
            TerraceError: It failed.
        """
        return self._call("backup", on_progress)

    def backups(self) -> list[dict[str, Any]]:
        """Return the backups, the oldest first: ``id``, ``time``, ``bytes``, ``seconds`` (None where not known).

        Raises:
            TerraceError: The place isn't there.
        """
        backups: list[dict[str, Any]] = self._call("list", _ignore)["backups"]
        return backups

    def plan(self, request: Request) -> dict[str, Any]:
        """Return what bringing back would replace; touches nothing.

        Raises:
            InputError: The backup can't be brought back.
        """
        return self._call("plan", _ignore, request)

    def restore(self, request: Request, on_progress: OnProgress = _ignore) -> dict[str, Any]:
        """Bring data back; services stay stopped until the next `up`.

        Raises:
            TerraceError: It failed.
        """
        try:
            return self._call("restore", on_progress, request)
        finally:
            remote_facts.forget()

    def _call(self, command: str, on_progress: OnProgress, request: Request | None = None) -> dict[str, Any]:
        process = subprocess.Popen(
            self._command(command, as_root=request is not None),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        with process, _ended_with_us(process):
            if process.stdin and request:
                process.stdin.write(request.to_json())
            if process.stdin:
                process.stdin.close()
            events = self._events(process, on_progress)
            error = process.stderr.read() if process.stderr else ""
        if process.returncode == 0 and "result" in events:
            return events["result"]
        raise self._error(command, process.returncode, events.get("error"), error)

    def _events(self, process: subprocess.Popen[str], on_progress: OnProgress) -> dict[str, dict[str, Any]]:
        """Show progress, and return the last event of each other kind."""
        found: dict[str, dict[str, Any]] = {}
        for line in process.stdout or ():
            about: dict[str, Any] = json.loads(line)
            kind = about.pop("event")
            if kind == "progress":
                on_progress(about["step"], about["percent"])
            else:
                found[kind] = about
        return found

    def _command(self, command: str, *, as_root: bool) -> list[str]:
        user = f"terrace-{self.environment}-{self.service}"
        right = "-all,+dac_read_search"
        reader = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
        reader += [f"--{kind}={right}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
        settings = CONFIGURATION / self.environment / self.service / "environment.json"
        agent = [str(SOFTWARE / self.environment / "launch.py"), str(settings), "0"]
        agent += ["/usr/bin/python3", "-m", "backup_agent", command]
        words = [*([] if as_root else reader), *agent]
        if self.host:
            return ssh.command(self.host, words)
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        return [*sudo, *words]

    def _error(self, command: str, code: int, event: Mapping[str, Any] | None, said: str) -> TerraceError:
        where = f"{self.service} of {self.environment}"
        if event is None and self.host and code == ssh.UNREACHABLE:
            return ssh.failure(self.host, said)
        if event is None:
            why = said.strip()[-2000:] or f"it ended with {code}"
            return OperationError(f"{command} failed", where=where, why=why, fix="Run the same command again.")
        kind = InputError if code == REFUSED else OperationError
        return kind(event["what"], where=where, why=event["why"] or None, fix=event["fix"] or None)


@contextlib.contextmanager
def _ended_with_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the agent when the command is stopped: it has a process group of its own, which Ctrl-C doesn't reach."""
    try:
        yield
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
