"""Services that come to another version: what that changes for good, what is refused, what is saved before.

And slots that come to another flavor, which takes over nothing of the one before.

The truth of which version a service's data is of stands on its host, where the role ``service`` notes it before the
version touches anything. The state can't say: a run may have been cut short, or data brought back from a backup.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from components.programs import lock_version
from terrace import backup, host_ansible
from terrace.errors import InputError, OperationError, TerraceError

if TYPE_CHECKING:
    from terrace.catalog import Catalog
    from terrace.hosts import Host
    from terrace.resolve import Blueprint

WITHOUT_BACKUP = "TERRACE_WITHOUT_BACKUP"
PATIENCE_SECONDS, PAUSE_SECONDS = 60.0, 2.0  # with a backup that fails
_saving = threading.Lock()
_saved: list[backup.Agent] = []


@dataclass(frozen=True)
class Software:
    """What a service is to run.

    Args:
        package: The package whose version is the service's.
        version: That version.
        one_way: What a later version changes for good; empty where an earlier one can come back.
    """

    package: str
    version: str
    one_way: str = ""


@dataclass(frozen=True)
class Move:
    """A service that comes from the version ``before`` to the version ``after``."""

    service: str
    package: str
    before: str
    after: str
    one_way: str = ""

    @property
    def is_back(self) -> bool:
        """Whether it is to an earlier version."""
        return _numbers(self.after) < _numbers(self.before)

    @property
    def is_for_good(self) -> bool:
        """Whether the version before can't come back afterwards."""
        return bool(self.one_way) and not self.is_back

    @property
    def is_refused(self) -> bool:
        """Whether it is one back that the service doesn't allow."""
        return bool(self.one_way) and self.is_back

    def sentence(self, *, saved: bool) -> str:
        """Say it to people; ``saved`` tells whether there are backups."""
        what = f"{self.service}: {self.package} {self.before} → {self.after}"
        if self.is_for_good:
            first = "a backup is made first" if saved else "there is no slot `backup` to save it first"
            return f"{what} changes {self.one_way} for good, {first}"
        return f"{what}, an earlier version" if self.is_back else f"{what}, which can go back"


@dataclass(frozen=True)
class Change:
    """A slot that comes from the flavor ``before`` to the flavor ``after``."""

    slot: str
    before: str
    after: str

    @property
    def sentence(self) -> str:
        """Say it to people."""
        what = f"{self.slot}: {self.before} → {self.after} carries nothing over"
        return f"{what}: what {self.before} keeps stays where it is, and {self.after} doesn't read it"


def changes(deployed: Mapping[str, str], blueprint: Blueprint) -> list[Change]:
    """Return which slots come to another flavor.

    Args:
        deployed: Slot → the flavor that the last `up` gave it.
        blueprint: What the next one is to give.
    """
    return [
        Change(slot, deployed[slot], spec.flavor)
        for slot, spec in blueprint.slots.items()
        if deployed.get(slot, spec.flavor) != spec.flavor
    ]


def software(blueprint: Blueprint, catalog: Catalog, host: str) -> dict[str, dict[str, str]]:
    """Return what the services on ``host`` are to run, by service, as plain data."""
    found = {}
    for slot, spec in blueprint.slots.items():
        artifact = catalog.component(slot, spec.flavor).artifact
        if blueprint.places[slot] == host and artifact.lock and artifact.package:
            version = lock_version(artifact.lock, artifact.package)
            found[artifact.lock] = asdict(Software(artifact.package, version, artifact.one_way))
    return found


def moves(known: Mapping[str, str], wanted: Mapping[str, Mapping[str, str]]) -> list[Move]:
    """Return what comes to another version.

    Args:
        known: Service → the version that its data is of.
        wanted: What `software` returns.
    """
    return [
        Move(service, one["package"], known[service], one["version"], one["one_way"])
        for service, one in wanted.items()
        if service in known and known[service] != one["version"]
    ]


def planned(blueprint: Blueprint, catalog: Catalog) -> list[Move]:
    """Look at all hosts at once; one that can't be reached is left out, since `up` names it."""

    def ask(host: Host) -> list[Move]:
        wanted = software(blueprint, catalog, host.name)
        with contextlib.suppress(OperationError):
            return _moves(host.document(), blueprint.environment, wanted)
        return []

    if not blueprint.hosts:  # a cluster's pods say so themselves, in their setup steps
        return []
    with ThreadPoolExecutor(max_workers=len(blueprint.hosts)) as pool:
        return [move for found in pool.map(ask, blueprint.hosts) for move in found]


def refusal(environment: str, move: Move) -> InputError:
    """Return why a move isn't made, and what to do."""
    return InputError(
        f"{move.service} can't go back from {move.package} {move.before} to {move.after}",
        where=environment,
        why=f"the later version has changed {move.one_way} for good, and the earlier one can't read that",
        fix=f"keep {move.before}; or, from this checkout, bring back a backup that was made before: "
        f"terrace backup {environment} --list, terrace restore {environment} --snapshot ID",
    )


def refusals(props: Mapping[str, Any]) -> list[InputError]:
    """Return why the resource ``Host`` with these inputs is refused; nothing on it was touched yet.

    Of a host that can't be reached nothing is known; `up` names it.
    """
    with contextlib.suppress(OperationError):
        return [refusal(props["environment"], move) for move in _of_host(props) if move.is_refused]
    return []


def must_save(props: Mapping[str, Any]) -> bool:
    """Tell whether something that can't be undone is about to be done on the host; not of one that can't be reached."""
    with contextlib.suppress(OperationError):
        return _changes_for_good(props)
    return False


def _changes_for_good(props: Mapping[str, Any]) -> bool:
    return any(move.is_for_good for move in _of_host(props))


def save_first(olds: Mapping[str, Any], news: Mapping[str, Any]) -> None:
    """Back up before anything is changed for good, each host once in a run, where the platform has had backups.

    Saved are the databases' host and the one that is changed: another one that is away keeps nobody waiting.

    Raises:
        OperationError: A backup failed, or the host doesn't say what would be changed.
    """
    if not olds.get("backup") or os.environ.get(WITHOUT_BACKUP) == "1" or not _changes_for_good(news):
        return
    environment, hosts = news["environment"], json.loads(olds["backup"])
    first, *others = backup.Backups.on(environment, hosts).agents
    mine = [agent for agent in others if agent.where == json.loads(news["host"])["name"]]
    with _saving:
        try:
            for agent in (first, *mine):
                if agent not in _saved:
                    _back_up(agent)
                    _saved.append(agent)
        except TerraceError as error:
            fix = f"Remove the cause, or go on without a backup by {WITHOUT_BACKUP}=1; then run the same command again."
            what = "no backup could be made, and a new version would change data for good"
            raise OperationError(what, where=environment, why=str(error), fix=fix) from None


def _back_up(agent: backup.Agent) -> None:
    """Back up; a database that was started just now, after a power cut, is given time to recover.

    A try that made a backup and failed after it isn't repeated: backups that came of it would displace earlier ones.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    before = agent.backups()
    while True:
        try:
            agent.back_up()
        except TerraceError as error:  # an InputError: the service is at its own backup
            made_one = isinstance(error, OperationError) and agent.backups() != before
            if made_one or time.monotonic() > deadline:
                raise
        else:
            return
        time.sleep(PAUSE_SECONDS)


def _of_host(props: Mapping[str, Any]) -> list[Move]:
    wanted = props.get("software") or {}
    return _moves(json.loads(props["host"]), props["environment"], wanted) if wanted else []


def _moves(host: Mapping[str, Any], environment: str, wanted: Mapping[str, Mapping[str, str]]) -> list[Move]:
    return moves(host_ansible.look(host, environment)["versions"], wanted)


def refuse(environment: str, found: Iterable[Move]) -> None:
    """Refuse what can't go back.

    Raises:
        InputError: Something can't; nothing was touched.
    """
    for move in found:
        if move.is_refused:
            raise refusal(environment, move)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
