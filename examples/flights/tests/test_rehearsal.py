"""What CI runs: data to a judged model without a platform, through the same guards and the same gate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from flights import rehearsal, source
from flights.errors import BadBatchError, GateError, KnownLaterError
from flights.rehearsal import joined, rehearse
from flights.settings import Configuration
from made_up import batch
from test_model import CONFIGURATION

EARLY, LATE = ("2013-05", "2013-06", "2013-07"), "2013-07"


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    made = batch(EARLY, rows=1000)
    # A feature without any value can't be trained with.
    return {**made, "weather": made["weather"].assign(wind_gust=20.0)}


def configured(minimum: float) -> Configuration:
    gate = {"minimum_auc": minimum, "minimum_gain": -1.0}
    return replace(CONFIGURATION, gate=gate)


@pytest.fixture
def data(tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch) -> dict[str, pd.DataFrame]:
    monkeypatch.setattr(source, "read_package", lambda: tables)
    return tables


def test_a_model_is_trained_judged_and_reported(data: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    said: list[str] = []
    assert rehearse(configured(0.0), said.append, tmp_path).startswith("the gate passes: AUC ")
    assert said[0] == "the data passes"
    evaluation = json.loads((tmp_path / "evaluation.json").read_text())
    assert 0.0 <= evaluation["model"]["auc"] <= 1.0
    assert evaluation["rows"] == int((data["flights"]["month"] == 7).sum())
    report = (tmp_path / "report.md").read_text()
    assert f"| {LATE} | {evaluation['rows']:,} |" in report
    assert f"| model | {evaluation['model']['auc']:.4f} |" in report


def test_a_weak_model_fails_and_its_report_stays(data: dict[str, pd.DataFrame], tmp_path: Path) -> None:
    with pytest.raises(GateError):
        rehearse(configured(0.999), lambda _line: None, tmp_path)
    assert (tmp_path / "report.md").is_file()


def test_personal_data_stops_it_before_anything_is_trained(
    data: dict[str, pd.DataFrame], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = {**data, "planes": data["planes"].assign(model="jane.doe@example.org")}
    monkeypatch.setattr(source, "read_package", lambda: planted)
    monkeypatch.setattr(rehearsal, "judge", lambda *_: pytest.fail("trained"))
    with pytest.raises(BadBatchError, match=r"planes\.model: e-mail address") as caught:
        rehearse(configured(0.0), lambda _line: None, tmp_path)
    assert "jane" not in str(caught.value)


def test_features_from_after_the_prediction_are_refused(
    data: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    from flights import data_steps

    made = data_steps.feature_tables

    def later(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
        frames = made(tables)
        return {**frames, "weather": frames["weather"].assign(known_at=lambda frame: frame["known_at"] + 86400)}

    monkeypatch.setattr(data_steps, "feature_tables", later)
    with pytest.raises(KnownLaterError, match="from after the prediction"):
        joined(data)
