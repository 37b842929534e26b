"""Requests to the platform, and what its refusals become; no network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests
from flights.definitions import MODEL_FEATURES, VIEWS
from flights.errors import KnownLaterError, ServiceError
from flights.inference import Platform, infer_request
from flights.schedule import KEYS, spine
from flights.settings import Gateway
from made_up import flight, flights_table, utc


class Answers:
    """Stands in for the network: gives one prepared answer and remembers the requests."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body, self.requests = status, body, []

    def __call__(self, _session: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
        if isinstance(self.body, Exception):
            raise self.body
        self.requests.append((method, url, options.get("json")))
        response = requests.Response()
        response.status_code = self.status
        response._content = (self.body if isinstance(self.body, str) else json.dumps(self.body)).encode()
        return response


def platform(monkeypatch: pytest.MonkeyPatch, status: int, body: Any) -> tuple[Platform, Answers]:
    answers = Answers(status, body)
    monkeypatch.setattr(requests.Session, "request", lambda *args, **options: answers(*args, **options))
    return Platform(Gateway("https://platform.test", "me", "secret", "/ca.pem")), answers


def online(known_at: str, count: int = 1) -> dict[str, Any]:
    """Return a feature server's answer; every feature is missing but the temperature."""
    values: dict[str, Any] = dict.fromkeys(KEYS, "a key")
    for view in VIEWS:
        values |= {f"{view.table}__{name}": None for name in view.features}
        values[f"{view.table}__known_at"] = int(utc(known_at).timestamp())
    values["flights_weather__temp"] = 70.5
    return {
        "metadata": {"feature_names": list(values)},
        "results": [{"values": [value] * count} for value in values.values()],
    }


def test_missing_numbers_travel_as_null_and_text_as_bytes() -> None:
    rows = pd.DataFrame({"carrier": ["UA", "B6"], "weather__temp": [np.nan, 70.5]}, index=[7, 3])
    request = infer_request(rows)
    carrier, temperature = request["inputs"]
    assert (carrier["name"], carrier["datatype"], carrier["data"]) == ("carrier", "BYTES", ["UA", "B6"])
    assert carrier["parameters"] == {"content_type": "str"}
    assert (temperature["name"], temperature["datatype"], temperature["data"]) == (
        "weather__temp",
        "FP64",
        [None, 70.5],
    )
    assert carrier["shape"] == temperature["shape"] == [2, 1]
    json.dumps(request, allow_nan=False)


def test_predict_gives_the_probability_of_late_and_the_version(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"model_version": "4", "outputs": [{"shape": [2, 2], "data": [0.9, 0.1, 0.3, 0.7]}]}
    asked, answers = platform(monkeypatch, 200, body)
    assert asked.predict("flights-delay", pd.DataFrame({"distance": [1.0, 2.0]})) == ([0.1, 0.7], "4")
    method, url, _ = answers.requests[0]
    assert (method, url) == ("POST", "https://platform.test/serving/v2/models/flights-delay/infer")


@pytest.mark.parametrize(
    ("status", "fix"),
    [
        (401, "check TERRACE_GATEWAY_USER and TERRACE_GATEWAY_PASSWORD"),
        (404, "see the service's log"),
        (500, "see the service's log"),
    ],
)
def test_a_refusal_says_where_what_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch, status: int, fix: str) -> None:
    asked, _ = platform(monkeypatch, status, "the reason" + "!" * 1000)
    with pytest.raises(ServiceError) as caught:
        asked.predict("m", pd.DataFrame({"distance": [1.0]}))
    assert caught.value.what == f"answered {status}"
    assert caught.value.where == "https://platform.test/serving/v2/models/m/infer"
    assert caught.value.why.startswith("the reason")
    assert len(caught.value.why) == 500
    assert caught.value.fix == fix
    assert "secret" not in str(caught.value)


def test_no_answer_is_an_error_that_names_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, _ = platform(monkeypatch, 0, requests.ConnectionError("refused"))
    with pytest.raises(ServiceError, match=r"https://platform\.test/serving/v2/models/m/infer: no answer"):
        asked.predict("m", pd.DataFrame({"distance": [1.0]}))


@pytest.mark.parametrize("body", ["<html>starting</html>", "[1]", "null"])
def test_an_answer_that_is_not_a_json_object_is_an_error_that_names_the_service(
    monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    asked, _ = platform(monkeypatch, 200, body)
    with pytest.raises(
        ServiceError, match=r"https://platform\.test/serving/v2/models/m/infer: the answer is not a JSON"
    ):
        asked.predict("m", pd.DataFrame({"distance": [1.0]}))


@pytest.mark.parametrize(("status", "ready"), [(200, True), (404, False), (500, False)])
def test_a_model_is_ready_when_the_server_says_so(monkeypatch: pytest.MonkeyPatch, status: int, ready: bool) -> None:
    assert platform(monkeypatch, status, "")[0].ready("m") is ready


def test_a_model_is_not_ready_when_nothing_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    assert platform(monkeypatch, 0, requests.ConnectionError("refused"))[0].ready("m") is False


def test_features_come_in_the_models_order_with_missing_values_as_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = spine(flights_table(flight("2013-07-04 14:30"), flight("2013-07-04 14:45")))
    asked, answers = platform(monkeypatch, 200, online("2013-07-04 12:00", count=2))
    rows = asked.features(planned)
    assert rows.columns.tolist() == MODEL_FEATURES
    assert rows["weather__temp"].tolist() == [70.5, 70.5]
    assert rows["weather__wind_gust"].isna().all()
    assert answers.requests[0][2]["entities"] == {key: planned[key].tolist() for key in KEYS}


def test_an_online_feature_from_after_the_moment_of_prediction_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = spine(flights_table(flight("2013-07-04 14:30")))
    asked, _ = platform(monkeypatch, 200, online("2013-07-04 13:00"))
    with pytest.raises(KnownLaterError, match=r"online features: .* from after the prediction"):
        asked.features(planned)
