"""Training sees no test month, the evaluation looks at test months only, and the gate refuses a weak model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flights import gate, model, model_steps, tracking
from flights.definitions import MODEL_FEATURES
from flights.errors import FlightsError, GateError
from flights.runs import Run
from flights.schedule import CATEGORIES
from flights.settings import Configuration

PARAMETERS = {"max_iter": 5, "min_samples_leaf": 5, "max_leaf_nodes": 7}
MONTHS = ["2012-12", "2013-01", "2013-04", "2013-05", "2013-06", "2013-07", "2013-09", "2014-01"]
CONFIGURATION = Configuration(
    model_name="m",
    use_case="flights",
    seed=1,
    split={"train_from": "2013-01", "validate_from": "2013-05", "test_from": "2013-07"},
    online_from="2013-07",
    gate={"minimum_auc": 0.7, "minimum_gain": 0.02},
    search=(PARAMETERS, {**PARAMETERS, "max_iter": 2}),
    baseline=PARAMETERS,
)


def rows() -> pd.DataFrame:
    """Return 60 flights a month, late when the weather is cold, and one in ten of them without a label."""
    random = np.random.default_rng(3)
    count = 60 * len(MONTHS)
    frame = pd.DataFrame({name: random.normal(size=count) for name in MODEL_FEATURES})
    for name in CATEGORIES:
        frame[name] = random.choice(["A", "B"], count)
    frame["month"] = np.repeat(MONTHS, 60)
    late = (frame["weather__temp"] + random.normal(scale=0.3, size=count) < 0).astype(float)
    frame["late"] = late.where(frame.index % 10 != 0)
    return frame


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a run after the step features, whose tracking goes nowhere."""

    @contextlib.contextmanager
    def open_run(_pipeline: Run, name: str, **_options: Any) -> Iterator[str]:
        yield f"id of {name}"

    monkeypatch.setattr(tracking, "run", open_run)
    monkeypatch.setattr(tracking, "log", lambda _parameters, _metrics: None)
    monkeypatch.setattr(tracking, "artifact", lambda _path: None)
    monkeypatch.setattr(tracking, "log_importance", lambda _importance: None)
    monkeypatch.setattr(tracking, "compare", lambda _trials, _best: None)
    rows().to_parquet(tmp_path / "training.parquet", index=False)
    made = Run(tmp_path, "r1", "flights", "abc")
    made.write("features", {"rows": len(rows()), "unlabelled": 48})
    return made


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> list[pd.DataFrame]:
    """Return the rows of every training, as they happen."""
    seen: list[pd.DataFrame] = []
    fit = model.fit

    def watched(frame: pd.DataFrame, *others: Any) -> Any:
        seen.append(frame)
        return fit(frame, *others)

    monkeypatch.setattr(model, "fit", watched)
    return seen


def test_search_trains_before_the_validation_months_and_train_before_the_test_months(
    run: Run, fitted: list[pd.DataFrame]
) -> None:
    model_steps.search(run, CONFIGURATION)
    model_steps.train(run, CONFIGURATION)
    months = [sorted(frame["month"].unique()) for frame in fitted]
    early, whole = ["2013-01", "2013-04"], ["2013-01", "2013-04", "2013-05", "2013-06"]
    assert months == [early, early, whole, whole]
    assert not any(frame["late"].isna().any() for frame in fitted)


def test_search_judges_on_the_validation_months_and_keeps_the_best(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[pd.Index] = []
    scores = iter([0.6, 0.8])
    monkeypatch.setattr(model, "auc", lambda late, _probabilities: judged.append(late.index) or next(scores))
    model_steps.search(run, CONFIGURATION)
    months = rows()["month"]
    assert [sorted(set(months[index])) for index in judged] == [["2013-05", "2013-06"]] * 2
    assert run.read("search")["best"] == {
        "name": "trial-1",
        "run_id": "id of trial-1",
        "parameters": CONFIGURATION.search[1],
        "validation_auc": 0.8,
    }


def test_train_evaluate_judges_labelled_flights_of_the_test_months_by_month(run: Run) -> None:
    for step in (model_steps.search, model_steps.train, model_steps.evaluate):
        step(run, CONFIGURATION)
    report = run.read("evaluation")
    assert report["rows"] == 3 * 54
    assert report["unlabelled"] == 48
    for name in ("model", "baseline"):
        assert sorted(report[name]["auc_by_month"]) == ["2013-07", "2013-09", "2014-01"]
    assert report["model"]["auc"] > 0.9 > 0.7 > report["baseline"]["auc"]
    losses = {name: loss["mean"] for name, loss in report["importance"].items()}
    assert max(losses, key=losses.__getitem__) == "weather__temp"


def test_groups_too_small_to_judge_are_left_out() -> None:
    frame = pd.DataFrame({"carrier": ["A"] * 200 + ["B"] * 199 + ["C"] * 200, "late": [0.0, 1.0] * 199 + [0.0] * 201})
    told = model.by_group(frame, np.where(frame["late"] == 1.0, 0.9, 0.1), "carrier")
    assert told == {"A": {"rows": 200, "late_share": 0.5, "auc": 1.0, "brier": pytest.approx(0.01)}}


def test_what_happens_in_the_test_months_does_not_change_the_model(run: Run) -> None:
    model_steps.search(run, CONFIGURATION)
    model_steps.train(run, CONFIGURATION)
    before = model.probability(model_steps.load(run, "model.skops"), rows())
    other = rows()
    other["late"] = other["late"].where(other["month"] < "2013-07", 1.0 - other["late"])
    other.to_parquet(run.folder / "training.parquet", index=False)
    model_steps.search(run, CONFIGURATION)
    model_steps.train(run, CONFIGURATION)
    assert (model.probability(model_steps.load(run, "model.skops"), rows()) == before).all()


def test_the_auc_of_a_month_is_of_that_month_alone() -> None:
    frame = pd.DataFrame({"month": ["2013-07"] * 2 + ["2013-08"] * 2, "late": [0.0, 1.0, 0.0, 1.0]})
    assert model.auc_by_month(frame, np.array([0.1, 0.2, 0.9, 0.8])) == {"2013-07": 1.0, "2013-08": 0.0}


def test_an_unknown_carrier_and_missing_numbers_are_predicted() -> None:
    frame = rows().dropna(subset="late")
    trained = model.fit(frame, MODEL_FEATURES, PARAMETERS, seed=1)
    odd = frame.head(1).assign(carrier="ZZ", weather__temp=np.nan)
    assert 0.0 < model.probability(trained, odd)[0] < 1.0


def evaluation(auc: float, baseline: float) -> dict[str, Any]:
    return {"model": {"auc": auc}, "baseline": {"auc": baseline}}


@pytest.mark.parametrize(("auc", "baseline"), [(0.75, 0.72), (0.7, 0.6)])
def test_the_gate_lets_a_good_model_pass(auc: float, baseline: float) -> None:
    gate.check_quality(evaluation(auc, baseline), CONFIGURATION)


@pytest.mark.parametrize(
    ("auc", "baseline", "reasons"),
    [
        (0.69, 0.5, ["AUC 0.6900 is below 0.7"]),
        (0.75, 0.74, ["AUC 0.7500 is not 0.02 above the baseline's 0.7400"]),
        (0.65, 0.64, ["AUC 0.6500 is below 0.7", "AUC 0.6500 is not 0.02 above the baseline's 0.6400"]),
    ],
)
def test_the_gate_refuses_a_weak_model_with_all_reasons(auc: float, baseline: float, reasons: list[str]) -> None:
    with pytest.raises(GateError) as caught:
        gate.check_quality(evaluation(auc, baseline), CONFIGURATION)
    assert caught.value.why == "; ".join(reasons)


@pytest.mark.parametrize(("auc", "baseline"), [(float("nan"), 0.6), (0.75, float("nan"))])
def test_the_gate_refuses_an_auc_that_is_not_a_number(auc: float, baseline: float) -> None:
    with pytest.raises(GateError):
        gate.check_quality(evaluation(auc, baseline), CONFIGURATION)


def test_serve_does_not_touch_production_when_the_gate_refuses(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from flights import deployment

    run.write("evaluation", evaluation(0.5, 0.5))
    run.write("register", {"version": "2"})
    monkeypatch.setattr(deployment, "promote", lambda *_: pytest.fail("promoted"))
    with pytest.raises(GateError):
        model_steps.serve(run, CONFIGURATION)


def test_a_step_before_its_turn_says_what_is_missing(run: Run) -> None:
    with pytest.raises(FlightsError, match=r"search\.json isn't there"):
        model_steps.train(run, CONFIGURATION)
