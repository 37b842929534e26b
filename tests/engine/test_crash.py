"""Killed, stopped and cut off: nothing that was done is forgotten, and nothing is made twice."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from terrace.engine import Event, RecoveryNotice, StateError
from terrace.engine.backend import Backend
from terrace.engine.journal import Journal
from terrace.engine.secrets import new_salt
from tests.engine.engine_world import PASSPHRASE, World

# DIE=<method>: the process is killed before the provider did anything; DIE=after: when it did, but nobody noted it.
DYING = """
    class Dying(Recorder):
        def create(self, props):
            import os, signal
            if os.environ.get("DIE") == "create":
                os.kill(os.getpid(), signal.SIGKILL)
            result = Recorder.create(self, props)
            if os.environ.get("DIE") == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        def delete(self, identifier, props):
            import os, signal
            if os.environ.get("DIE") == "delete":
                os.kill(os.getpid(), signal.SIGKILL)
            return Recorder.delete(self, identifier, props)

    first = Thing("first", password=pulumi.Config().require_secret("password"))
    dying = Custom("dying", Dying(), Options(depends_on=[first]), value=stage)
    Thing("last", Options(depends_on=[dying]), value=1)
"""


def _kill(world: World, operation: str, stage: int, die: str) -> None:
    process = world.process(operation, stage, DIE=die)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors


def _notice(events: list[Event]) -> RecoveryNotice:
    (notice,) = [event for event in events if isinstance(event, RecoveryNotice)]
    return notice


def _journal(world: World) -> Path:
    return world.checkpoint.with_name("dev.json.journal")


def _cut_off(world: World, stage: int) -> None:
    """An operation that ends before it can write the state: the disk is full, say."""

    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backend, "write", full)
        with pytest.raises(OSError, match="No space left"):
            world.run("up", stage)


@pytest.fixture
def dying(world: World) -> World:
    world.write(DYING)
    return world


@pytest.mark.parametrize("die", ["create", "after"])
def test_killed_in_a_create(dying: World, die: str) -> None:
    _kill(dying, "up", 1, die)
    assert not dying.checkpoint.exists()
    assert "hunter22" not in _journal(dying).read_text(encoding="utf-8")
    assert [item.id for item in dying.stack().resources() if item.id == "first"] == ["first"]  # read from the journal
    events: list[Event] = []
    result = dying.run("up", 1, on_event=events.append)
    assert result.ok
    assert _notice(events).in_flight == (("creating", dying.urn("dying")),)
    assert result.summary == {"same": 2, "create": 2}
    assert dying.calls().count(("create", "first")) == 1
    assert dying.things() == ["dying", "first", "last"]
    assert not _journal(dying).exists()
    assert dying.run("up", 1).summary == {"same": 4}


def test_killed_in_a_delete(dying: World) -> None:
    assert dying.run("up", 1).ok
    _kill(dying, "destroy", 1, "delete")
    assert dying.things() == ["dying", "first"]
    events: list[Event] = []
    assert dying.run("destroy", 1, on_event=events.append).ok
    assert _notice(events).in_flight == (("deleting", dying.urn("dying")),)
    assert [call for call in dying.calls() if call[0] == "delete"] == [
        ("delete", "last"),
        ("delete", "dying"),
        ("delete", "first"),
    ]
    assert dying.things() == []


def test_what_was_in_flight_is_forgotten_even_if_nothing_changes(dying: World) -> None:
    assert dying.run("up", 1).ok
    _kill(dying, "destroy", 1, "delete")
    assert dying.run("refresh", 1).summary == {"same": 3}
    assert "pending_operations" not in json.loads(dying.checkpoint.read_bytes())["checkpoint"]["latest"]


@pytest.mark.parametrize("operation", ["destroy", "refresh"])
def test_what_may_have_been_created_is_not_forgotten(dying: World, operation: str) -> None:
    _kill(dying, "up", 1, "after")
    events: list[Event] = []
    assert dying.run(operation, 1, on_event=events.append).ok
    assert "may be there or not" in str(events)
    (pending,) = json.loads(dying.checkpoint.read_bytes())["checkpoint"]["latest"]["pending_operations"]
    assert (pending["type"], pending["resource"]["urn"]) == ("creating", dying.urn("dying"))
    assert dying.run("up", 1).ok
    assert "pending_operations" not in json.loads(dying.checkpoint.read_bytes())["checkpoint"]["latest"]


def test_cancel_keeps_the_cli_from_a_state_without_its_journal(dying: World) -> None:
    _kill(dying, "up", 1, "create")
    (holder,) = dying.stack().cancel()
    (lock,) = (dying.root / ".pulumi/locks/organization/parity/dev").glob("*.json")
    assert lock != holder.path
    assert dying.stack().cancel() == []
    assert dying.run("up", 1).ok
    assert list(lock.parent.iterdir()) == []


def test_killed_with_another_salt_than_the_states(dying: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert dying.run("up", 1).ok
    monkeypatch.setattr("tests.engine.engine_world.SALT", new_salt(PASSPHRASE))
    dying.write(DYING.replace("value=1", "value=2, key=pulumi.Output.secret('another-secret')"))
    _kill(dying, "destroy", 1, "delete")
    assert [item.id for item in dying.stack().resources() if item.custom][1:] == ["first", "dying"]
    assert dying.run("up", 1).ok
    assert dying.run("up", 1).summary == {"same": 4}


def test_cut_off_before_the_state_is_written(world: World) -> None:
    _cut_off(world, 1)
    events: list[Event] = []
    assert world.run("up", 1, on_event=events.append).summary == {"same": 4}
    assert "in flight was: nothing" in _notice(events).message
    assert len(world.calls()) == 3


@pytest.mark.parametrize("where", ["before", "after"])
def test_killed_while_it_recovers(dying: World, where: str) -> None:
    assert dying.run("up", 1).ok
    _kill(dying, "destroy", 1, "delete")
    write = Backend.write

    def killed(backend: Backend, content: bytes) -> None:
        if where == "after":
            write(backend, content)
        raise OSError("Input/output error")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Backend, "write", killed)
        with pytest.raises(OSError, match="Input/output"):
            dying.run("destroy", 1)
    assert [item.id for item in dying.stack().resources() if item.custom][1:] == ["first", "dying"]
    (lock,) = (dying.root / ".pulumi/locks/organization/parity/dev").glob("*.json")  # the journal is still there
    events: list[Event] = []
    assert dying.run("destroy", 1, on_event=events.append).ok
    assert _notice(events).in_flight == (("deleting", dying.urn("dying")),)
    assert dying.things() == []
    assert not lock.exists()


def test_cut_off_after_the_state_is_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "close", lambda self, *, remove: os.close(self._file))
        assert world.run("up", 1).ok
    assert _journal(world).exists()
    assert [item.id for item in world.stack().resources() if item.id == "a"] == ["a"]
    assert world.run("up", 1).summary == {"same": 4}
    assert not _journal(world).exists()


@pytest.mark.parametrize(("operation", "stage"), [("up", 2), ("up", 3), ("up", 4), ("destroy", 1), ("refresh", 1)])
def test_the_journal_gives_the_state_that_was_to_be_written(world: World, operation: str, stage: int) -> None:
    assert world.run("up", 1).ok
    before = world.checkpoint.read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "close", lambda self, *, remove: os.close(self._file))
        world.run(operation, stage)
    expected = world.state()
    world.checkpoint.write_bytes(before)  # as if the process had been killed just before it wrote the state
    store = world.stack()._open()
    store.recover()
    assert world.state() == expected


def test_a_line_that_was_cut_off_is_as_if_it_never_was(world: World) -> None:
    _cut_off(world, 1)
    with _journal(world).open("ab") as file:
        file.write(b'[{"t":"new","k":"n')
    assert world.run("up", 1).summary == {"same": 4}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"\0\0\0", "dev.json.journal:"),
        (b"[1]", "no journal entry"),
        (b"5", "no journal entry"),
        (b'[{"t":"keep","k":"b99","as":"n99"}]', "b99"),
    ],
)
def test_a_damaged_journal_is_named_and_kept(world: World, line: bytes, why: str) -> None:
    _cut_off(world, 1)
    with _journal(world).open("ab") as file:
        file.write(line + b"\n")
    before = _journal(world).read_bytes()
    with pytest.raises(StateError, match="the journal is damaged") as caught:
        world.run("up", 1)
    assert str(_journal(world)) in str(caught.value)
    assert why in str(caught.value)
    assert _journal(world).read_bytes() == before


def test_a_journal_without_its_beginning(world: World) -> None:
    _cut_off(world, 1)
    lines = _journal(world).read_bytes().split(b"\n")
    _journal(world).write_bytes(b"\n".join(lines[1:]))
    with pytest.raises(StateError, match="it has no beginning"):
        world.run("up", 1)


def test_an_empty_journal_says_nothing(world: World) -> None:
    assert world.run("up", 1).ok
    _journal(world).write_bytes(b"")  # killed between making the file and its first line
    assert world.run("up", 1).summary == {"same": 4}
    assert not _journal(world).exists()


def test_a_state_that_was_changed_since_is_not_touched(world: World) -> None:
    assert world.run("up", 1).ok
    _cut_off(world, 2)
    document = json.loads(world.checkpoint.read_bytes())
    world.checkpoint.write_text(json.dumps(document, indent=1), encoding="utf-8")
    with pytest.raises(StateError, match="the state was changed since") as caught:
        world.run("up", 2)
    assert "remove the journal" in str(caught.value)
    assert _journal(world).exists()
