"""What commands note for the audit log: an end is never lost, whatever answers are, and whoever sends meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from components.audit.programs.audit_log.events import parse
from terrace.audit import AuditLog, Journal
from terrace.errors import OperationError


class Log(AuditLog):
    """An audit log that keeps what it takes by its id, and may lose its answers."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[str, str]] = {}
        self.meanwhile: Callable[[], object] = lambda: None

    def record(self, events: list[dict[str, Any]]) -> None:
        for event in map(parse, events):
            self.taken.setdefault(event.id, (event.action, event.outcome))
        self.meanwhile()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def test_an_end_is_known_where_the_answer_to_its_beginning_was_lost(journal: Journal) -> None:
    def lost() -> None:
        raise OperationError("the answer is lost")

    log = Log()
    log.meanwhile = lost
    begun = journal.begin("destroy", "ann", "platform")
    with pytest.raises(OperationError, match="lost"):
        journal.send(log)
    journal.end(begun, "ok")
    with pytest.raises(OperationError, match="lost"):
        journal.send(log)
    log.meanwhile = lambda: None
    journal.send(log)
    assert list(log.taken.values()) == [("destroy", "begun"), ("destroy", "ok")]
    assert journal.waiting() == []


def test_what_another_command_notes_while_this_one_sends_is_kept(journal: Journal) -> None:
    log, begun = Log(), journal.begin("up", "ann", "platform")

    def ended() -> None:
        log.meanwhile = lambda: None
        journal.end(begun, "failed")

    log.meanwhile = ended
    journal.send(log)
    assert list(log.taken.values()) == [("up", "begun"), ("up", "failed")]
    assert journal.waiting() == []


def test_what_another_command_has_sent_is_no_trouble(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    log, begun = Log(), journal.begin("up", "ann", "platform")
    log.meanwhile = (journal.folder / f"{begun.id}.json").unlink
    journal.send(log)
    (journal.folder / "gone-before-it-is-looked-at.json").symlink_to(journal.folder / "nothing")
    journal.send(log)
    monkeypatch.setattr(Path, "read_bytes", lambda path: path.unlink() or path.open("rb").read())
    log.meanwhile = lambda: pytest.fail("nothing is there to send")
    journal.begin("refresh", "ann", "platform")
    journal.send(log)
    assert list(log.taken.values()) == [("up", "begun")]
