"""Whether a served model is worse than its evaluation, beyond chance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from flights import labels, monitoring, profiles, replay
from flights.errors import DeploymentError
from flights.monitoring import Watched, standard_error
from flights.replay import Answer
from test_model import CONFIGURATION


@pytest.mark.parametrize(("auc", "degraded"), [(0.74, False), (0.63, False), (0.61, True), (float("nan"), True)])
def test_only_what_chance_does_not_explain_counts_as_worse(auc: float, degraded: bool) -> None:
    seen = Watched(200, auc, 0.04, 0.74, 0.2, 0.2, 10.0)
    assert seen.degraded is degraded
    assert seen.tags()["monitoring.train_again"] == ("now" if degraded else "as scheduled")


def test_the_standard_error_is_near_that_of_repeated_draws() -> None:
    random = np.random.default_rng(1)
    drawn = []
    for _ in range(2000):
        late, other = random.normal(1.0, size=50), random.normal(size=150)
        drawn.append(float((late[:, None] > other).mean()))
    assert standard_error(float(np.mean(drawn)), 50, 150) == pytest.approx(float(np.std(drawn)), rel=0.15)


def test_flights_are_asked_for_and_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    late = pd.Series([0.0, 0.0, 1.0, 1.0])
    monkeypatch.setattr(replay, "sample", lambda _configuration, _requests: pd.DataFrame({"late": late}))
    monkeypatch.setattr(labels, "hand_over", lambda _name, flights: len(flights))
    answers = [Answer(probability, "3", 1.0, 2.0) for probability in (0.1, 0.3, 0.2, 0.4)]
    monkeypatch.setattr(replay, "ask", lambda _name, _flights, workers: answers)
    seen = monitoring.watch(CONFIGURATION, "3", {"auc": 0.74})
    assert (seen.requests, seen.auc, seen.late_share, seen.p50_ms) == (4, 0.75, 0.5, 3.0)
    assert seen.labels == 4
    assert "served_labels" not in seen.metrics()
    assert seen.document()["train_again"] == "as scheduled"
    with pytest.raises(DeploymentError, match="version 3 answered"):
        monitoring.watch(CONFIGURATION, "4", {"auc": 0.74})


def test_a_profile_tells_of_columns_and_of_no_row() -> None:
    table = pd.DataFrame(
        {
            "number": [1.0, 2.0, np.nan, 3.0],
            "text": ["a", "a", "b", None],
            "many": [f"secret {number}" for number in range(4)],
            "moment": pd.to_datetime(["2013-01-01", "2013-01-02", None, "2013-01-03"], utc=True),
        }
    )
    told = profiles.table_profile(pd.concat([table, table.head(1)] + [table.assign(many=f"x{n}") for n in range(20)]))
    assert told["rows"] == 85
    assert told["duplicate_rows"] == 1
    columns = told["columns"]
    assert (columns["number"]["minimum"], columns["number"]["maximum"]) == (1.0, 3.0)
    assert columns["number"]["missing_share"] == pytest.approx(21 / 85)
    assert columns["text"]["shares"] == pytest.approx({"a": 43 / 64, "b": 21 / 64})
    assert columns["moment"]["minimum"].startswith("2013-01-01")
    assert "secret" not in str(columns["many"])
