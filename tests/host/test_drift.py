"""The watch over data and predictions: what is asked drifts away from what the model was trained on, and is seen.

Labels come later. By them a worse model is told apart from another season.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import wait_for
from tests.host.models import Predictions, Registry, request, run_program

NAME = f"test-of-drift-{uuid.uuid4().hex[:8]}"  # predictions outlive their model: those of another run must not count
ROWS = 1000
SUMMER = f"{NAME}-summer"  # the id of the request that is labelled
USUAL = 0.25  # how often it happened in the model's evaluation, about


class Watched:
    """The small model in production, with what the platform's metrics say of it."""

    def __init__(self, gateway: requests.Session, connection: dict[str, str], metrics: str) -> None:
        self._gateway = gateway
        self._connection = connection
        self._metrics = metrics

    def ask(self, x: Sequence[float | None], place: list[str], identifier: str | None = None) -> list[float]:
        """Ask the model about some rows at once, and return how likely it says each is."""
        body = request(len(x), identifier)
        for each in body["inputs"]:
            each["data"] = {"x": list(x), "place": place}.get(each["name"], each["data"])
        url = f"{self._connection['SERVING_URL']}v2/models/{NAME}/infer"
        answer = self._gateway.post(url, json=body, timeout=60)
        assert answer.ok, answer.text
        likely: list[float] = answer.json()["outputs"][0]["data"][1::2]
        return likely

    def label(self, *labels: dict[str, Any]) -> requests.Response:
        """Hand labels over."""
        url = f"{self._connection['DRIFT_URL']}labels"
        return self._gateway.post(url, json={"model": NAME, "labels": labels}, timeout=60)

    def look(self) -> None:
        """Ask for a look."""
        assert self._gateway.post(f"{self._connection['DRIFT_URL']}look", timeout=60).status_code == 202

    def metric(self, name: str, **labels: str) -> float | None:
        """Return a metric's latest value in Prometheus."""
        wanted = ",".join(f'{key}="{value}"' for key, value in {"model": NAME, **labels}.items())
        url = self._connection["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/query"
        answer = self._gateway.get(url, params={"query": f"{name}{{{wanted}}}"}, timeout=30).json()
        found = [float(series["value"][1]) for series in answer["data"]["result"]]
        return found[0] if found else None

    def told(self, name: str, **labels: str) -> float | None:
        """Return a metric's value as the watch itself says it now."""
        wanted = {f'{key}="{value}"' for key, value in {"model": NAME, **labels}.items()}
        for line in requests.get(self._metrics, timeout=30).text.splitlines():
            if line.startswith(f"{name}{{") and wanted <= set(line.partition("{")[2].partition("}")[0].split(",")):
                return float(line.rpartition(" ")[2])
        return None

    def verdict(self) -> tuple[float | None, float | None]:
        """Return whether the model is said to be worse, and whether to be in another season."""
        return self.told("terrace_quality_low", version="1"), self.told("terrace_quality_season", version="1")

    def rows(self) -> float:
        """Return how many predictions were looked at last."""
        return self.metric("terrace_drift_rows") or 0.0


@pytest.fixture(scope="module")
def watched(platform: Platform, outputs: dict[str, Any], gateway: requests.Session) -> Iterator[Watched]:
    connection = outputs["connection"]
    health = next(str(each["probe_url"]) for each in outputs["services"] if each["slot"] == "drift")
    watch = Watched(gateway, connection, health.removesuffix("health") + "metrics")
    run_program("register_ranking.py", NAME, connection=connection)
    try:
        platform.terrace("promote", ENVIRONMENT, NAME, "1")
        yield watch
    finally:
        Registry(connection).remove(NAME)
        watch.look()  # its alerts end


def _until_seen(watched: Watched, rows: int) -> None:
    def seen() -> bool:
        watched.look()
        return watched.rows() >= rows

    wait_for(seen, 300)


@pytest.fixture(scope="module")
def said(watched: Watched) -> list[float]:
    """What was answered about rows like those of the training data."""
    normal = [NormalDist().inv_cdf((number + 0.5) / ROWS) for number in range(ROWS)]
    return watched.ask(normal, ["here", "there"] * (ROWS // 2), SUMMER)


def test_what_is_like_the_training_data_has_not_drifted(watched: Watched, said: list[float]) -> None:
    _until_seen(watched, ROWS)
    assert watched.metric("terrace_drift_has_reference") == 1
    wait_for(lambda: watched.metric("terrace_drift_share") == 0, 60)
    assert watched.metric("terrace_drift_drifted", column="x") == 0
    assert watched.metric("terrace_drift_drifted", column="prediction") == 0


def _happened(said: list[float], rate: float, skill: bool) -> list[bool]:
    """Return what happened: at this rate, and where it was said to be likely or, without skill, anywhere."""
    chance = random.Random(1)
    order = {
        index: (NormalDist().inv_cdf(likely) if skill else 0) + chance.gauss() for index, likely in enumerate(said)
    }
    late = set(sorted(order, key=lambda index: -order[index])[: round(rate * len(said))])
    return [index in late for index in range(len(said))]


def _area(said: list[float], happened: list[bool]) -> float:
    """Return the area under the ROC curve by its definition: how often what happened was said to be likelier."""
    late = [likely for likely, true in zip(said, happened, strict=True) if true]
    other = [likely for likely, true in zip(said, happened, strict=True) if not true]
    return sum((one > another) + (one == another) / 2 for one in late for another in other) / (len(late) * len(other))


def _handed_over(watched: Watched, happened: list[bool], day: str) -> None:
    labels = [
        {"id": SUMMER, "row": row, "label": true, "happened": f"{day}T12:00:00Z"} for row, true in enumerate(happened)
    ]
    answer = watched.label(*labels)
    assert (answer.status_code, answer.json()) == (200, {"kept": ROWS, "refused": []})


def _until_told(watched: Watched, expected: Callable[[], bool]) -> None:
    def told() -> bool:
        watched.look()
        return expected()

    wait_for(told, 300)


def test_labels_that_come_later_say_how_good_predictions_were(watched: Watched, said: list[float]) -> None:
    happened = _happened(said, USUAL, skill=True)
    _handed_over(watched, happened, "2013-08-01")
    _handed_over(watched, happened, "2013-08-01")  # twice is once
    answer = watched.label({"id": f"{NAME}-never-asked", "label": 1}, {"id": SUMMER, "label": None})
    assert answer.status_code == 422
    assert answer.json()["kept"] == 1
    assert [(each["index"], each["id"]) for each in answer.json()["refused"]] == [(1, SUMMER)]
    _until_told(watched, lambda: watched.told("terrace_quality_rows", version="1", window="2013-08") == ROWS)
    _until_told(watched, lambda: watched.verdict() == (0, 0))
    score = watched.told("terrace_quality_score", version="1", window="latest")
    assert score == pytest.approx(_area(said, happened), abs=1e-9)
    assert watched.told("terrace_quality_outcome", version="1", window="latest") == USUAL
    assert watched.told("terrace_quality_label_delay_seconds", version="1", window="latest")
    assert (watched.told("terrace_labels"), watched.told("terrace_labels_unmatched")) == (ROWS + 1, 1)


def test_who_keeps_labels_may_do_nothing_else(watched: Watched, outputs: dict[str, Any]) -> None:
    labeller, reader = Predictions(outputs, "predictions_labeller"), Predictions(outputs, "predictions_reader")
    for statement in ("SELECT FROM predictions", "DELETE FROM labels", "SELECT expire()"):
        assert "permission denied" in labeller.run(statement).stderr
    assert "permission denied" in reader.run("UPDATE labels SET label = '0'").stderr


def test_another_season_is_not_a_worse_model(watched: Watched, said: list[float]) -> None:
    _handed_over(watched, _happened(said, 0.4, skill=True), "2013-12-01")
    _until_told(watched, lambda: watched.verdict() == (0, 1))


def test_a_worse_model_is_not_another_season(watched: Watched, said: list[float]) -> None:
    _handed_over(watched, _happened(said, USUAL, skill=False), "2013-12-01")
    _until_told(watched, lambda: watched.verdict() == (1, 0))


def test_drift_and_missing_values_are_seen(watched: Watched) -> None:
    watched.ask([5.0] * (2 * ROWS) + [None] * ROWS, ["elsewhere"] * (3 * ROWS))
    _until_seen(watched, 4 * ROWS)
    wait_for(lambda: watched.metric("terrace_drift_share") == 1, 60)
    assert watched.metric("terrace_drift_drifted", column="x") == 1
    assert watched.metric("terrace_drift_drifted", column="place") == 1
    assert watched.metric("terrace_drift_missing_share", column="x") == pytest.approx(0.25)
    assert watched.metric("terrace_drift_reference_missing_share", column="x") == 0


def test_a_report_shows_it(watched: Watched, gateway: requests.Session, outputs: dict[str, Any]) -> None:
    url = outputs["connection"]["DRIFT_URL"]
    assert f"{NAME} version 1" in gateway.get(url, timeout=60).text
    report = gateway.get(f"{url}{NAME}/1.html", timeout=60)
    assert report.status_code == 200
    assert "Dataset Drift" in report.text or "drift" in report.text.lower()
    assert len(report.content) > 100_000
    wait_for(lambda: f"{NAME} version 1, quality" in gateway.get(url, timeout=60).text, 60)
    quality = gateway.get(f"{url}{NAME}/1-quality.html", timeout=60)
    assert quality.status_code == 200
    assert "ROC AUC" in quality.text
