"""Has the audit log know what a command does: who, what, to what, and how it ended."""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from terrace.errors import TerraceError

if TYPE_CHECKING:
    from terrace.audit import Journal
    from terrace.cli.operations import Session


@dataclass
class Note:
    """What is said of an action once it is known."""

    detail: str = ""


@contextlib.contextmanager
def audited(session: Session, action: str, about: str, *, send_first: bool = False) -> Iterator[Note]:
    """Note an action before it's done, and how it ended; both are sent to the audit log, now or by a later command.

    ``send_first`` also sends before: what is done may take the audit log down.
    """
    from terrace.audit import Journal

    journal, note = Journal.of(session.project, session.env), Note()
    event = journal.begin(action, person(), about)
    if send_first:
        _send(session, journal)
    outcome = "failed"
    try:
        yield note
        outcome = "ok"
    except typer.Exit as end:
        outcome = "failed" if end.exit_code else "ok"
        raise
    finally:
        journal.end(event, outcome, note.detail)
        _send(session, journal)


def person() -> str:
    """Return who runs the command, for the record."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _send(session: Session, journal: Journal) -> None:
    """Send what waits; where nobody takes it, it goes on waiting."""
    from terrace.audit import AuditLog

    with contextlib.suppress(TerraceError):
        outputs = session.outputs(show_secrets=True)
        if log := AuditLog.of(outputs):
            journal.send(log)
        elif outputs.get("endpoints"):
            journal.drop()
