"""The alias moves to a version that is served rightly, and steps back from one that isn't."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from flights import deployment, tracking
from flights.errors import DeploymentError, FlightsError, ServiceError, SettingsError
from test_settings import GATEWAY

ROWS = pd.DataFrame({"distance": [1.0, 2.0]})


class FakeMlflow:
    """A registry with one model; remembers every move of the alias."""

    def __init__(self, before: str | None, tags: dict[str, str]) -> None:
        self.aliases = {} if before is None else {"production": before}
        self.tags, self.moves = tags, []

    def get_registered_model(self, _name: str) -> SimpleNamespace:
        return SimpleNamespace(aliases=dict(self.aliases))

    def get_model_version(self, _name: str, _version: str) -> SimpleNamespace:
        return SimpleNamespace(tags=self.tags)

    def set_registered_model_tag(self, _name: str, key: str, value: str) -> None:
        assert self.moves == [], "who moves the alias is said before it moves"
        self.said = (key, json.loads(value))

    def set_registered_model_alias(self, _name: str, alias: str, version: str) -> None:
        self.aliases[alias] = version
        self.moves.append(version)

    def delete_registered_model_alias(self, _name: str, alias: str) -> None:
        del self.aliases[alias]


class FakeModel:
    def predict_proba(self, rows: pd.DataFrame) -> np.ndarray:
        return np.array([[0.8, 0.2], [0.4, 0.6]])[: len(rows)]


def promote(monkeypatch: pytest.MonkeyPatch, client: FakeMlflow, served: Any) -> float:
    """Promote version 2; ``served`` is what the platform answers, or the error that it raises."""

    def predict(_name: str, _rows: pd.DataFrame) -> tuple[list[float], str]:
        assert client.aliases["production"] == "2"
        if isinstance(served, BaseException):
            raise served
        return served, "2"

    for name, value in GATEWAY.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(tracking, "connect", lambda: client)
    fake = SimpleNamespace(ready=lambda _name: True, predict=predict)
    monkeypatch.setattr(deployment, "Platform", lambda _gateway: fake)
    monkeypatch.setattr(deployment, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(deployment, "DEPLOY_SECONDS", 0.1)
    return deployment.promote("m", "2", FakeModel(), ROWS)


READY = {"terrace.serving.state": "ready"}


def test_a_version_that_answers_like_the_model_keeps_the_alias(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeMlflow("1", READY)
    assert promote(monkeypatch, client, [0.2, 0.6]) == 0.0
    assert client.aliases == {"production": "2"}


@pytest.mark.parametrize("before", ["1", None])
@pytest.mark.parametrize(
    ("tags", "served", "message"),
    [
        ({"terrace.serving.state": "failed", "terrace.serving.error": "no memory"}, [0.2, 0.6], "no memory"),
        ({"terrace.serving.state": "loading"}, [0.2, 0.6], "not served after"),
        ({}, [0.2, 0.6], "not served after"),
        (READY, [0.2, 0.61], "differ from the model's own by 0.01"),
        (READY, [0.2, float("nan")], "differ from the model's own by nan"),
        (READY, ServiceError("answered 500", where="serving"), "answered 500"),
    ],
    ids=["failed", "never ready", "silent", "other answers", "no number", "server error"],
)
def test_the_alias_steps_back_when_the_deployment_fails(
    monkeypatch: pytest.MonkeyPatch, before: str | None, tags: dict[str, str], served: Any, message: str
) -> None:
    client = FakeMlflow(before, tags)
    with pytest.raises(FlightsError, match=message):
        promote(monkeypatch, client, served)
    assert client.moves[0] == "2"
    assert client.aliases == ({} if before is None else {"production": before})


@pytest.mark.parametrize("error", [ValueError("not JSON"), KeyError("outputs"), KeyboardInterrupt()])
def test_the_alias_steps_back_whatever_goes_wrong(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    client = FakeMlflow("1", READY)
    with pytest.raises(type(error)):
        promote(monkeypatch, client, error)
    assert client.aliases == {"production": "1"}


def test_without_the_gateways_variables_the_alias_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    client = FakeMlflow("1", READY)
    monkeypatch.setattr(tracking, "connect", lambda: client)
    with pytest.raises(SettingsError, match="TERRACE_GATEWAY_URL"):
        deployment.promote("m", "2", FakeModel(), ROWS)
    assert client.aliases == {"production": "1"}


@pytest.mark.parametrize(("difference", "fine"), [(0.0, True), (1e-9, True), (2e-9, False), (float("nan"), False)])
def test_served_answers_may_differ_by_rounding_only(difference: float, fine: bool) -> None:
    if fine:
        deployment.check_difference("m", difference)
    else:
        with pytest.raises(DeploymentError):
            deployment.check_difference("m", difference)
