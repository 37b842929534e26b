"""What the audit log takes for an event."""

from __future__ import annotations

from typing import Any

import pytest

from components.audit.programs.audit_log.events import LONGEST, WrongEvent, mask, parse
from tests.components.audit_world import event


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "x"},
        {"at": "yesterday"},
        {"action": "Drop Table"},
        {"outcome": "perhaps"},
        {"count": 0},
        {"count": "1"},
        {"actor": 5},
        {"more": "x"},
    ],
)
def test_what_is_no_event_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(WrongEvent):
        event(1, **changes)


def test_what_is_not_even_data_is_refused() -> None:
    for document in (None, [], {"id": "event-0001"}):
        with pytest.raises(WrongEvent):
            parse(document)


def test_a_text_holds_no_address_of_a_person_and_no_line_of_its_own() -> None:
    assert mask("artifacts/ann.b@example.org/x") == "artifacts/[personal]/x"
    assert mask("ann%40example.org") == "[personal]"
    assert mask('a\n{"sequence": 1}') == 'a?{"sequence": 1}'
    assert len(mask("x" * 1000)) == LONGEST
