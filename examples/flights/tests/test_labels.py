"""What is handed over of flights that have landed."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from flights import cli, labels, model, replay
from flights.errors import ServiceError, SettingsError
from flights.settings import Gateway
from made_up import utc
from test_inference import platform

FLIGHTS = pd.DataFrame(
    {
        "flight_id": ["2013-09-30 UA1 JFK", "2013-10-01 UA1 JFK"],
        "late": [1.0, 0.0],
        "landed": [utc("2013-09-30 23:59"), utc("2013-10-01 00:00")],
    }
)


def test_a_label_says_whose_it_is_what_was_true_and_when() -> None:
    assert labels.entries(FLIGHTS)[0] == {
        "id": "2013-09-30 UA1 JFK",
        "label": 1.0,
        "happened": "2013-09-30T23:59:00+00:00",
    }
    json.dumps(labels.entries(FLIGHTS), allow_nan=False)


def test_only_what_had_landed_by_then_is_known() -> None:
    assert labels.landed_until(FLIGHTS, "2013-09")["late"].tolist() == [1.0]
    assert len(labels.landed_until(FLIGHTS, "2013-10")) == len(labels.landed_until(FLIGHTS, None)) == 2
    with pytest.raises(SettingsError, match="no month"):
        labels.landed_until(FLIGHTS, "September")


def test_labels_go_in_parts_and_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, answers = platform(monkeypatch, 200, {"kept": 3, "refused": []})
    assert asked.label("m", [{"id": str(number), "label": 1} for number in range(5001)]) == 6
    assert [len(body["labels"]) for _, _, body in answers.requests] == [5000, 1]
    assert answers.requests[0][1] == "https://platform.test/drift/labels"
    assert answers.requests[1][2] == {"model": "m", "labels": [{"id": "5000", "label": 1}]}


def test_a_platform_that_takes_none_is_fine_and_one_that_refuses_some_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, _ = platform(monkeypatch, 404, "")
    assert asked.label("m", [{"id": "a", "label": 1}]) is None
    asked, _ = platform(monkeypatch, 422, {"kept": 0, "refused": [{"index": 0, "id": "a", "why": "the reason"}]})
    with pytest.raises(ServiceError) as caught:
        asked.label("m", [{"id": "a", "label": 1}])
    assert "the reason" in str(caught.value)


def test_the_command_hands_over_what_was_replayed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, answers = platform(monkeypatch, 200, {"kept": 1, "refused": []})
    monkeypatch.setattr(Gateway, "from_environment", lambda: Gateway("https://platform.test", "me", "secret", "/ca"))
    monkeypatch.setattr(replay, "sample", lambda _configuration, requests: FLIGHTS.head(requests))
    assert cli.main(["labels", "--requests", "7", "--until", "2013-09"]) == 0
    assert capsys.readouterr().out == "1 labels of flights-delay handed over\n"
    assert [entry["id"] for entry in answers.requests[0][2]["labels"]] == ["2013-09-30 UA1 JFK"]


def test_the_evaluation_says_what_was_said_what_was_true_and_in_which_month() -> None:
    rows = pd.DataFrame({"late": [1.0, 0.0], "month": ["2013-07", "2013-08"]})
    told: list[dict[str, Any]] = model.evaluation(rows, rows["late"].to_numpy() / 3, 1).to_dict("records")
    assert sorted(told, key=lambda row: row["happened"]) == [
        {"prediction": 0.333333, "label": 1, "happened": "2013-07-15T12:00:00Z"},
        {"prediction": 0.0, "label": 0, "happened": "2013-08-15T12:00:00Z"},
    ]
