"""Asks the slot ``backup`` to back up, to list backups, and to bring one back, on every host of a platform.

On each host the slot's service has the program ``backup_agent`` among its files. It is run here, with the service's own
environment: as the service's user, who may read everything, or, for a restore, as root.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from terrace import remote_facts, ssh
from terrace.edges import HOST_BACKUP, name_among_all
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
        place: A folder with backups, ``user@address:/folder`` where the platform's own place is on that machine; None
            for the platform's own place.
        snapshot: A backup's id, or the beginning of it; None for the last one.
        password: What opens the backups; None for the platform's own password.
        since: The time of another host's backup that it is to fit: the first one after that, or the last one.
    """

    place: str | None = None
    snapshot: str | None = None
    password: str | None = field(default=None, repr=False)
    since: str | None = None

    def to_json(self) -> str:
        """Return the request as the agent reads it."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class Agent:
    """The slot's program on one host.

    Args:
        environment: The environment.
        service: The slot's service there.
        host: The host, as the state keeps it; None where the platform is this machine alone.
    """

    environment: str
    service: str
    host: Mapping[str, Any] | None = None

    @property
    def where(self) -> str:
        """The host's name; empty where the platform is this machine alone."""
        return str(self.host["name"]) if self.host else ""

    @property
    def _is_away(self) -> bool:
        return self.host is not None and self.host["connection"] != "local"

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
        if self.host and self._is_away:
            return ssh.command(self.host, words)
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        return [*sudo, *words]

    def _error(self, command: str, code: int, event: Mapping[str, Any] | None, said: str) -> TerraceError:
        where = f"{self.service} of {self.environment}" + (f" on {self.where}" if self.where else "")
        if event is None and self.host and self._is_away and code == ssh.UNREACHABLE:
            return ssh.failure(self.host, said)
        if event is None:
            why = said.strip()[-2000:] or f"it ended with {code}"
            return OperationError(f"{command} failed", where=where, why=why, fix="Run the same command again.")
        kind = InputError if code == REFUSED else OperationError
        return kind(event["what"], where=where, why=event["why"] or None, fix=event["fix"] or None)


@dataclass(frozen=True)
class Backups:
    """The slot on all hosts of a platform.

    Args:
        agents: One for each host, that of the databases first. The others' backups are chosen by the time of its own.
    """

    agents: tuple[Agent, ...]

    @classmethod
    def of(cls, environment: str, outputs: Mapping[str, Any], host: str | None = None) -> Backups:
        """Find the slot by the stack's outputs; on one host alone, where that is named.

        Raises:
            InputError: The platform isn't up, or is in a cluster, or has no such slot, or no such host.
        """
        services = outputs.get("services") or ()
        found = [service for service in services if service["slot"] == SLOT]
        if not services:
            raise InputError(f"{environment} isn't up", fix=f"bring it up first: terrace up {environment}")
        if not found:
            raise InputError(
                f"{environment} has no backups", fix="raise its tier to 2, or add `backup: {}` to terrace:platform"
            )
        if outputs.get("target") == "kubernetes":
            raise InputError(
                f"{environment} is in a cluster, whose backups its own jobs make",
                fix="ask kubectl for one, or to bring one back; docs/kubernetes.md says how",
            )
        hosts = {each["name"]: each for each in outputs.get("hosts") or ()}
        named = [service for service in found if host in (None, service.get("host"))]
        if not named:
            fix = f"one of: {', '.join(hosts)}" if hosts else "leave it out, there is one machine"
            raise InputError(f"{environment} has no host {host!r}", fix=fix)
        return cls(tuple(Agent(environment, _own_name(one), hosts.get(one.get("host"))) for one in named))

    @classmethod
    def on(cls, environment: str, hosts: Sequence[Mapping[str, Any]]) -> Backups:
        """Return the slot on these hosts, as the state keeps them, that of the databases first."""
        agents = [Agent(environment, SLOT if host is hosts[0] else HOST_BACKUP, host) for host in hosts]
        return cls(tuple(agents))

    def back_up(self, on_progress: OnProgress = _ignore) -> dict[str, Any]:
        """Back up every host now, the databases' first; return what its agent does, and ``others`` with their ``host``.

        Raises:
            TerraceError: It failed; the hosts before are backed up.
        """
        first, *others = ({**_named(agent), **agent.back_up(_on(agent, on_progress))} for agent in self.agents)
        return {**first, "others": others}

    def backups(self) -> list[dict[str, Any]]:
        """Return the backups of every host, the oldest of each first, with their ``host`` where there are several.

        Raises:
            TerraceError: A place isn't there.
        """
        return [{**_named(agent), **one} for agent in self.agents for one in agent.backups()]

    def plan(self, request: Request) -> dict[str, Any]:
        """Return what bringing back would replace on the first host, and ``others`` with their ``host``.

        Raises:
            InputError: A host's backup can't be brought back; nothing was touched.
        """
        first = self.agents[0].plan(request)
        others = [{**_named(agent), **agent.plan(_fitting(request, first))} for agent in self.agents[1:]]
        return {**_named(self.agents[0]), **first, "others": others}

    def restore(self, request: Request, plan: Mapping[str, Any], on_progress: OnProgress = _ignore) -> None:
        """Bring every host's data back; services stay stopped until the next `up`.

        The databases come last: the services that write to them from other hosts are stopped by then.

        Args:
            request: What to bring back.
            plan: What `plan` returned for it.
            on_progress: Is told where it is.

        Raises:
            TerraceError: It failed.
        """
        first, *others = self.agents
        for agent, its in zip(others, plan["others"], strict=True):
            agent.restore(replace(_fitting(request, plan), snapshot=its["id"]), _on(agent, on_progress))
        first.restore(replace(request, snapshot=plan["id"]), _on(first, on_progress))


def _own_name(service: Mapping[str, Any]) -> str:
    """Return what the slot's service is called on its own host."""
    elsewhere = name_among_all(HOST_BACKUP, service.get("host") or "")
    return HOST_BACKUP if service["name"] == elsewhere else str(service["name"])


def _named(agent: Agent) -> dict[str, str]:
    return {"host": agent.where} if agent.where else {}


def _on(agent: Agent, on_progress: OnProgress) -> OnProgress:
    where = f"{agent.where}: " if agent.where else ""
    return lambda step, percent: on_progress(where + step, percent)


def _fitting(request: Request, first: Mapping[str, Any]) -> Request:
    """Return the request for another host than the first, whose plan is known."""
    return replace(request, snapshot=None, since=first["time"])


@contextlib.contextmanager
def _ended_with_us(process: subprocess.Popen[str]) -> Iterator[None]:
    """End the agent when the command is stopped: it has a process group of its own, which Ctrl-C doesn't reach."""
    try:
        yield
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
