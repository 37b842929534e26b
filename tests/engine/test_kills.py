"""Killed at any moment, again and again: what was done is known, what wasn't is done later, and nothing twice."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

from terrace.engine import RecoveryNotice
from terrace.engine.state import Deployment
from terrace.engine.values import reveal
from tests.engine.kill_server import Ending, Job, KillServer
from tests.engine.random_programs import Program, edited, first_program
from tests.engine.random_shelf import ShelfWorld

WORLDS = 10
KILLS = 20  # of each world
_KINDS = {"create": "creating", "update": "updating", "delete": "deleting"}
_Flight = set[tuple[str, str]]  # (kind of operation, key of the thing)


class Victim:
    """A world whose operations are killed.

    Args:
        root: Its folder.
        seed: Of what happens to it, except for the time that everything takes.
        server: Does the operations.
    """

    def __init__(self, root: Path, seed: int, server: KillServer) -> None:
        self._random = Random(seed)
        self._server = server
        self._world = ShelfWorld(root / "world", wanted=first_program(self._random))
        self._rehearsal = root / "rehearsal"
        self._previous = self._world.wanted
        self._in_flight: _Flight = set()  # when something was killed, since the last operation that wasn't
        self._meddled = False
        self._seconds: dict[str, float] = {}  # that operations take with this program when nobody kills them
        self.tally: Counter[str] = Counter()

    def live(self) -> Counter[str]:
        """Be killed as often as it has to be; returns how often what happened."""
        for number in range(KILLS):
            self._kill(self._random.choice(["up"] * 6 + ["destroy", "refresh"]))
            if number % 3 == 2:
                continue  # the next one finds what this one left
            self._recover()
            if number % 5 == 0:
                self._end()
            self._previous, self._world.wanted = self._world.wanted, edited(self._world.wanted, self._random)
            self._seconds.clear()
        self._recover()
        self._end()
        return self.tally

    def _kill(self, operation: str) -> None:
        if operation == "refresh":
            keys = [identifier.partition("-")[0] for identifier in self._world.held()]
            self._world.meddle(tuple(keys[:1]), tuple(keys[1:2]))
            self._meddled = True
        if operation not in self._seconds:
            self._seconds[operation] = self._rehearse(operation)
        before = self._recorded(self._load()[0])
        calls = len(self._calls())
        ending = self._run(operation, self._random.uniform(0, self._seconds[operation]))
        self.tally["killed"] += ending.killed
        self._look(before, self._calls()[calls:])

    def _rehearse(self, operation: str) -> float:
        """How long the operation takes when nobody kills it."""
        shutil.rmtree(self._rehearsal, ignore_errors=True)
        shutil.copytree(self._world.root, self._rehearsal, ignore=shutil.ignore_patterns("history", "backups"))
        ShelfWorld(self._rehearsal)  # its project names its own state
        ending = self._server.run(Job(self._rehearsal, operation, self._world.wanted))
        assert ending.result is not None
        assert ending.result.ok, ending.result.errors
        return ending.seconds

    def _look(self, before: dict[str, Any], calls: list[tuple[str, str, str]]) -> None:
        """Everything that a provider was asked for is in the state, or is known to have been begun."""
        self._world.stack().resources()
        deployment, in_flight = self._load()
        self.tally["journal"] += self._journal.exists()
        self.tally["in flight"] += bool(in_flight)
        self._in_flight |= in_flight
        assert _unfinished(calls) <= in_flight
        _once(before, calls)
        if not self._meddled:
            assert self._sure(self._recorded(deployment)) == self._sure(self._world.held())

    def _recover(self) -> None:
        """Nothing but the next operation is needed."""
        found = self._journal_in_flight() if self._journal.exists() else None
        operations = ["up"]
        if self._meddled or any(kind == "deleting" for kind, _ in self._in_flight):
            operations.insert(0, "refresh")  # `up` believes what the state says
        notices = [self._complete(operation).notice for operation in operations]
        assert _said(notices[0]) == found
        assert notices[1:] in ([], [None])
        assert self._world.held() == self._world.listed()
        self._in_flight, self._meddled = set(), False

    def _complete(self, operation: str) -> Ending:
        before = self._recorded(self._load()[0])
        calls = len(self._calls())
        ending = self._run(operation)
        assert ending.result is not None
        assert ending.result.ok, ending.result.errors
        _once(before, self._calls()[calls:])
        assert not self._journal.exists()
        assert list((self._world.root / ".pulumi/locks").rglob("*.json")) == []
        return ending

    def _end(self) -> None:
        """Nothing is left after a destroy."""
        self._complete("destroy")
        assert (self._world.held(), self._world.state()) == ({}, [])

    def _run(self, operation: str, seconds: float | None = None) -> Ending:
        return self._server.run(Job(self._world.root, operation, self._world.wanted, seconds))

    @property
    def _journal(self) -> Path:
        return self._world.checkpoint.with_name("dev.json.journal")

    def _load(self) -> tuple[Deployment, _Flight]:
        deployment, in_flight = self._world.stack()._open().load()
        return deployment, {(kind, self._key(urn)) for kind, urn in in_flight}

    def _key(self, urn: str) -> str:
        """Which thing has or had this name."""
        programs: tuple[Program, ...] = (self._previous, self._world.wanted)
        things = [thing for program in programs for thing in (*program.things, *program.removed)]
        return next((thing.key for thing in things if urn in (thing.urn, *thing.earlier)), urn)

    @staticmethod
    def _recorded(deployment: Deployment) -> dict[str, Any]:
        there = [item for item in deployment.resources if item.id and not item.pending_replacement]
        outputs = {item.id: reveal(item.outputs) for item in there if not item.type.startswith("pulumi:providers")}
        return {identifier: {**value, "__provider": None} for identifier, value in outputs.items()}

    def _sure(self, things: dict[str, Any]) -> dict[str, Any]:
        """Those of which nothing was in flight."""
        unsure = {key for _, key in self._in_flight}
        left = {name: value for name, value in things.items() if name.partition("-")[0] not in unsure}
        return {name: {**value, "__provider": None} for name, value in left.items()}

    def _calls(self) -> list[tuple[str, str, str]]:
        log = self._world.root / "calls"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [(phase, method, identifier) for phase, method, identifier in map(json.loads, lines)]

    def _journal_in_flight(self) -> list[tuple[str, str]]:
        """What the journal says, read by hand."""
        flying: dict[int, tuple[str, str]] = {}
        for line in self._journal.read_bytes().split(b"\n")[:-1]:
            for entry in json.loads(line):
                if entry["t"] == "begin":
                    flying[entry["i"]] = (entry["op"], entry["r"]["urn"])
                elif entry["t"] == "end":
                    del flying[entry["i"]]
        return sorted(flying.values())


def _unfinished(calls: list[tuple[str, str, str]]) -> _Flight:
    """What a provider was in the middle of."""
    ended = {(method, identifier) for phase, method, identifier in calls if phase == "end"}
    begun = {(method, identifier) for phase, method, identifier in calls if phase == "begin"}
    return {(_KINDS[method], identifier.partition("-")[0]) for method, identifier in begun - ended}


def _once(recorded: dict[str, Any], calls: list[tuple[str, str, str]]) -> None:
    """Nothing is made that is known to be there."""
    there = set(recorded)
    for phase, method, identifier in calls:
        if (phase, method) == ("begin", "create"):
            assert identifier not in there, f"{identifier} was made twice"
        elif (phase, method) == ("end", "create"):
            there.add(identifier)
        elif method == "delete":
            there.discard(identifier)


def _said(notice: RecoveryNotice | None) -> list[tuple[str, str]] | None:
    return None if notice is None else sorted(notice.in_flight)


def _live(root: Path, seeds: Iterable[int]) -> Counter[str]:
    with KillServer() as server:
        return sum((Victim(root / str(seed), seed, server).live() for seed in seeds), Counter[str]())


def test_killed_at_any_moment(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as two_at_once:
        halves = [range(0, WORLDS, 2), range(1, WORLDS, 2)]
        tally = sum(two_at_once.map(lambda seeds: _live(tmp_path, seeds), halves), Counter[str]())
    assert tally["killed"] >= 0.6 * WORLDS * KILLS
    assert tally["journal"] >= 0.2 * WORLDS * KILLS
    assert tally["in flight"] >= 0.05 * WORLDS * KILLS
