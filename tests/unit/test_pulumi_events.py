"""The Pulumi CLI's stream where it isn't as usual: an interrupt, and lines that are no events."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from terrace.engine.model import Diagnostic, Event
from terrace.engine.passphrase import Passphrase
from terrace.engine.project import Project
from terrace.pulumi_cli import PulumiStack
from terrace.pulumi_events import Reader


def test_an_interrupt_goes_to_the_cli_and_reading_goes_on(tmp_path: Path) -> None:
    """Each Ctrl-C once more, as the CLI counts them; the user is told after the first."""
    seen: list[Event] = []
    signals: list[int] = []

    class Interrupted:
        """Output during which the user presses Ctrl-C twice."""

        times = 0

        def __iter__(self) -> Iterator[str]:
            self.times += 1
            if self.times <= 2:
                raise KeyboardInterrupt
            yield '{"diagnosticEvent": {"severity": "warning", "message": "cancelled"}}'

    stack = PulumiStack(Project("shop", tmp_path, tmp_path, tmp_path), "dev", lambda: Passphrase("", ""))
    process: Any = SimpleNamespace(stdout=Interrupted(), wait=lambda: None, send_signal=signals.append)

    assert stack._follow(process, Reader(seen.append), seen.append) is True
    assert signals == [signal.SIGINT, signal.SIGINT]
    assert [event.message for event in seen if isinstance(event, Diagnostic)] == [
        "waiting for running steps to end; again to stop at once",
        "cancelled",
    ]


@pytest.mark.parametrize("line", ["[1, 2]", "7", '{"preludeEvent": {}}', "{}"])
def test_what_is_no_known_event_changes_nothing(line: str) -> None:
    seen: list[Event] = []
    reader = Reader(seen.append)

    reader.read([line])

    result = reader.result(ok=True, interrupted=False, complaint="")
    assert (seen, result.steps, result.errors, result.ok) == ([], (), (), True)


def test_what_the_cli_prints_beside_events_is_told_and_is_no_error() -> None:
    seen: list[Event] = []
    reader = Reader(seen.append)

    reader.read(["warning: a new version is out\n"])

    assert seen == [Diagnostic("info", "", "warning: a new version is out\n")]
    assert reader.result(ok=True, interrupted=False, complaint="").errors == ()


def test_an_interrupted_operation_says_so_where_nothing_else_was_said() -> None:
    stopped = Reader(lambda event: None).result(ok=False, interrupted=True, complaint="")

    assert [error.message for error in stopped.errors] == ["the operation was interrupted"]
    assert stopped.interrupted
