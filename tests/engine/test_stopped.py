"""Stopped by the user, or asked to begin while another operation runs."""

from __future__ import annotations

import os

import pytest

from terrace.engine import Event, LockError, RecoveryNotice
from tests.engine.engine_world import World

STOPPED = """
    class Stopped(Recorder):
        def create(self, props):
            import os, signal, time
            for _ in range(int(os.environ.get("SIGNALS", "0"))):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.4)
            if os.environ.get("SIGNALS") == "2":
                time.sleep(30)
            return Recorder.create(self, props)

    stopped = Custom("stopped", Stopped(), value=1)
    Thing("later", Options(depends_on=[stopped]), value=1)
"""


def test_ctrl_c_finishes_what_runs_and_begins_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.write(STOPPED)
    monkeypatch.setenv("SIGNALS", "1")
    events: list[Event] = []
    result = world.run("up", 1, on_event=events.append)
    assert (result.ok, result.interrupted) == (False, True)
    assert [error.message for error in result.errors] == ["the operation was interrupted"]
    assert "Ctrl-C again stops at once" in str(events)
    assert world.things() == ["stopped"]
    monkeypatch.delenv("SIGNALS")
    assert world.run("up", 1).summary == {"same": 2, "create": 1}
    assert world.calls() == [("create", "stopped"), ("create", "later")]


def test_a_second_ctrl_c_stops_at_once_and_can_be_resumed(world: World) -> None:
    world.write(STOPPED)
    process = world.process("up", 1, SIGNALS="2")
    _, errors = process.communicate(timeout=25)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in errors
    locks = world.root / ".pulumi/locks/organization/parity/dev"
    assert len(list(locks.glob("*.json"))) == 1  # so that the Pulumi CLI doesn't read a state without its journal
    events: list[Event] = []
    assert world.run("up", 1, on_event=events.append).ok
    assert [event.in_flight for event in events if isinstance(event, RecoveryNotice)] == [
        (("creating", world.urn("stopped")),)
    ]
    assert world.calls() == [("create", "stopped"), ("create", "later")]
    assert list(locks.glob("*.json")) == []


def test_while_one_operation_runs_another_is_refused(world: World) -> None:
    refused: list[str] = []

    def second(_: Event) -> None:
        with pytest.raises(LockError) as caught:
            world.stack().destroy()
        refused.append(str(caught.value))

    assert world.run("up", 1, on_event=second).ok
    assert f"pid {os.getpid()}" in refused[0]
    assert "stack organization/parity/dev is locked by" in refused[0]
    assert world.things() == ["a", "b", "c"]
