"""Labels as projects hand them over: what is kept, and what is refused by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from components.drift.programs.drift_watch import intake
from components.drift.programs.drift_watch.intake import AwayError, Label


class Kept:
    """A store that can be away."""

    def __init__(self, away: bool = False) -> None:
        self.away = away
        self.labels: dict[tuple[str, str, int], Label] = {}

    def keep(self, model: str, labels: Sequence[Label]) -> None:
        if self.away:
            raise AwayError("OperationalError")
        self.labels |= {(model, label.request, label.row): label for label in labels}


def hand_over(*labels: Any, store: Kept | None = None) -> tuple[str, dict[str, Any]]:
    return intake.take(json.dumps({"model": "m", "labels": list(labels)}).encode(), store or Kept())


def test_labels_are_kept_once_and_corrected() -> None:
    store = Kept()
    for value in (True, 0):
        status, told = hand_over({"id": "a", "label": value}, {"id": "a", "row": 1, "label": "late"}, store=store)
        assert (status, told) == ("200 OK", {"kept": 2, "refused": []})
    assert store.labels == {("m", "a", 0): Label("a", 0, 0.0, None), ("m", "a", 1): Label("a", 1, "late", None)}


def test_bad_labels_are_refused_by_name_and_the_others_kept() -> None:
    store = Kept()
    status, told = hand_over(
        {"id": "good", "label": 1, "happened": "2013-09-01T12:00:00Z"},
        {"id": "no label"},
        {"id": "odd", "label": [1]},
        {"id": "endless", "label": float("inf")},
        {"id": "huge", "label": 10**400},
        {"id": "when", "label": 1, "happened": "2013-09-01T12:00:00"},
        {"id": "long ago", "label": 1, "happened": "0001-01-01T00:00:00+14:00"},
        {"id": "row", "label": 1, "row": -1},
        {"id": "half", "label": "\ud800"},
        {"id": "more", "label": 1, "extra": 1},
        {"id": "", "label": 1},
        "text",
        {"id": "good", "label": 0},
        store=store,
    )
    assert status.startswith("422")
    assert told["kept"] == 1
    assert list(store.labels.values()) == [Label("good", 0, 1.0, datetime(2013, 9, 1, 12, tzinfo=UTC))]
    assert [(each["index"], each["id"]) for each in told["refused"]] == [
        *enumerate(
            ["no label", "odd", "endless", "huge", "when", "long ago", "row", "half", "more", "", "", "good"], start=1
        )
    ]
    assert "a number" in told["refused"][1]["why"]
    assert "its zone" in told["refused"][4]["why"]
    assert "twice" in told["refused"][-1]["why"]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "should be"),
        (b'{"model": "m", "labels": [], "more": 1}', "should be"),
        (b'{"model": "", "labels": []}', "a name"),
        (b'{"model": "m", "labels": {}}', "a list"),
        (json.dumps({"model": "m", "labels": [1] * 10_001}).encode(), "at most 10000"),
    ],
)
def test_a_body_that_is_none_is_refused(body: bytes, why: str) -> None:
    status, told = intake.take(body, Kept())
    assert status.startswith("400")
    assert why in told["error"]


def test_what_cannot_be_kept_is_said() -> None:
    status, told = hand_over({"id": "a", "label": 1}, store=Kept(away=True))
    assert status.startswith("503")
    assert "again later" in told["error"]
    assert intake.take(b"{}", None)[0].startswith("404")
