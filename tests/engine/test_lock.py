"""One operation on a stack at a time, also across engines and machines."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from terrace.engine.errors import LockError
from terrace.engine.lock import _namespace, _started
from tests.engine.engine_world import World

SLOW = """
import time
a = Thing("a", value=stage)
Thing("b", value=a.made.apply(lambda made: time.sleep(SECONDS) or made))
"""


def _folder(world: World) -> Path:
    return world.root / ".pulumi" / "locks" / "organization" / "parity" / "dev"


def _hold(world: World, **holder: Any) -> Path:
    """Put the lock of somebody else there."""
    content = {
        "namespace": _namespace(),
        "pid": 1,
        "username": "ann",
        "hostname": "elsewhere",
        "timestamp": "2026-01-01T00:00:00Z",
        **holder,
    }
    _folder(world).mkdir(parents=True, exist_ok=True)
    path = _folder(world) / "somebody.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("engine", ["pulumi", "terrace"])
def test_a_lock_of_another_machine_is_respected(world: World, engine: str) -> None:
    path = _hold(world, engine=engine)
    with pytest.raises(LockError, match=r"locked by ann@elsewhere \(pid 1\)"):
        world.run("up", 1)
    assert path.exists()
    assert world.things() == []


def test_a_damaged_lock_is_somebodys_all_the_same(world: World) -> None:
    _hold(world).write_text("{")
    with pytest.raises(LockError, match="unknown@unknown"):
        world.run("up", 1)


def test_a_lock_of_the_cli_on_this_machine_is_for_the_user_to_take_back(world: World) -> None:
    _hold(world, hostname=socket.gethostname(), pid=2**22 + 1)
    with pytest.raises(LockError, match="locked by ann"):
        world.run("up", 1)
    world.stack().cancel()
    assert world.run("up", 1).ok


def test_a_dead_holder_of_this_engine_is_taken_over(world: World) -> None:
    path = _hold(world, hostname=socket.gethostname(), engine="terrace", started="another boot/1", pid=os.getpid())
    assert world.run("up", 1).ok
    assert not path.exists()
    assert list(_folder(world).glob("*.json")) == []


def test_a_holder_in_another_container_is_respected(world: World) -> None:
    _hold(world, hostname=socket.gethostname(), engine="terrace", started="gone", namespace="pid:[1]")
    with pytest.raises(LockError, match="locked by ann"):
        world.run("up", 1)


def test_what_the_user_is_called_need_not_be_known(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert world.run("up", 1).ok


def test_a_living_holder_of_this_engine_is_respected(world: World) -> None:
    pid = os.getpid()
    _hold(world, hostname=socket.gethostname(), engine="terrace", started=_started(pid), pid=pid)
    with pytest.raises(LockError, match=f"pid {pid}"):
        world.run("up", 1)


def test_a_killed_operation_is_carried_on_and_nothing_is_made_twice(world: World) -> None:
    world.write(SLOW.replace("SECONDS", "60"))
    process = world.process("up", 1)
    deadline = time.monotonic() + 30
    while world.things() != ["a"]:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # the step is over when its entry is in the journal
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert len(list(_folder(world).glob("*.json"))) == 1, "a killed operation leaves its lock"
    world.write(SLOW.replace("SECONDS", "0"))
    assert world.run("up", 1).ok
    calls = [json.loads(line)[:2] for line in (world.root / "calls").read_text().splitlines()]
    assert calls == [["create", "a"], ["create", "b"]]
    assert world.run("up", 1).summary.keys() == {"same"}
