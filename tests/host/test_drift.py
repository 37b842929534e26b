"""The watch over data and predictions: what is asked drifts away from what the model was trained on, and is seen."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from statistics import NormalDist
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import wait_for
from tests.host.models import Registry, request, run_program

NAME = f"test-of-drift-{uuid.uuid4().hex[:8]}"  # predictions outlive their model: those of another run must not count
ROWS = 1000


class Watched:
    """The small model in production, with what the platform's metrics say of it."""

    def __init__(self, gateway: requests.Session, connection: dict[str, str]) -> None:
        self._gateway = gateway
        self._connection = connection

    def ask(self, x: list[float | None], place: list[str]) -> None:
        """Ask the model about some rows at once."""
        body = request(len(x))
        for each in body["inputs"]:
            each["data"] = {"x": x, "place": place}.get(each["name"], each["data"])
        url = f"{self._connection['SERVING_URL']}v2/models/{NAME}/infer"
        answer = self._gateway.post(url, json=body, timeout=60)
        assert answer.ok, answer.text

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

    def rows(self) -> float:
        """Return how many predictions were looked at last."""
        return self.metric("terrace_drift_rows") or 0.0


@pytest.fixture(scope="module")
def watched(platform: Platform, outputs: dict[str, Any], gateway: requests.Session) -> Iterator[Watched]:
    connection = outputs["connection"]
    run_program("register_models.py", NAME, "1", connection=connection)
    try:
        platform.terrace("promote", ENVIRONMENT, NAME, "1")
        yield Watched(gateway, connection)
    finally:
        Registry(connection).remove(NAME)


def _until_seen(watched: Watched, rows: int) -> None:
    def seen() -> bool:
        watched.look()
        return watched.rows() >= rows

    wait_for(seen, 300)


def test_what_is_like_the_training_data_has_not_drifted(watched: Watched) -> None:
    normal = [NormalDist().inv_cdf((number + 0.5) / ROWS) for number in range(ROWS)]
    watched.ask(normal, ["here", "there"] * (ROWS // 2))
    _until_seen(watched, ROWS)
    assert watched.metric("terrace_drift_has_reference") == 1
    wait_for(lambda: watched.metric("terrace_drift_share") == 0, 60)
    assert watched.metric("terrace_drift_drifted", column="x") == 0
    assert watched.metric("terrace_drift_drifted", column="prediction") == 0


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
