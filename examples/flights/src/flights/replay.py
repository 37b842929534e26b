"""Later months once more, as the platform would have lived them: every flight a request through the gateway."""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from flights import deployment, source, store, tracking
from flights.definitions import MODEL_FEATURES
from flights.errors import DeploymentError
from flights.inference import Platform
from flights.model_steps import testing
from flights.schedule import KEYS, label, spine
from flights.settings import Configuration, FeatureDatabase, Gateway
from flights.tables import landed

WARM_UP = 5


@dataclass(frozen=True)
class Answer:
    """A served prediction and how long its two requests took (milliseconds)."""

    probability: float
    version: str
    features_ms: float
    serving_ms: float


def sample(configuration: Configuration, requests: int) -> pd.DataFrame:
    """Return flights of the test months whose outcome is known, drawn by the configuration's seed."""
    flights = source.read_package()["flights"]
    rows = spine(flights).assign(late=label(flights), landed=landed(flights))
    rows = testing(rows[rows["late"].notna()], configuration)
    return rows.sample(min(requests, len(rows)), random_state=configuration.seed).sort_values("event_timestamp")


def replay(configuration: Configuration, requests: int, workers: int) -> dict[str, Any]:
    """Ask the platform about flights of the test months and compare with the model's own answers.

    The own answers come from the registered model in this process, over the features of the *offline* store, so that
    an online store that holds something else shows.

    Returns:
        The model's quality, the latencies (milliseconds), the throughput (requests a second), and the largest
        difference between a served answer and the model's own.

    Raises:
        DeploymentError: No version is in production, or the answers differ.
    """
    client = tracking.connect()
    name = configuration.model_name
    version = deployment.current(client, name)
    if version is None:
        raise DeploymentError("no version is in production", where=name, fix="run the pipeline first: flights run")
    flights = sample(configuration, requests)
    own = _own_answers(name, version, flights)
    begun = time.monotonic()
    answers = ask(name, flights, workers)
    seconds = time.monotonic() - begun
    difference = float(np.max(np.abs(np.array([answer.probability for answer in answers]) - own)))
    deployment.check_difference(name, difference)
    quality = _quality(client, name, version)
    return {
        **quality,
        "model": name,
        "version": version,
        **_timings(answers, seconds),
        "max_abs_difference": difference,
    }


def _own_answers(name: str, version: str, flights: pd.DataFrame) -> np.ndarray:
    with tracking.answering():
        model = mlflow.pyfunc.load_model(f"models:/{name}/{version}")
    with contextlib.redirect_stdout(sys.stderr):
        client = store.open_store(FeatureDatabase.from_environment())
        joined = store.history(client, flights[["flight_id", "event_timestamp", *KEYS]])
    joined = joined.drop(columns="event_timestamp")
    rows = flights.merge(joined, on="flight_id", how="left", validate="one_to_one")
    return np.asarray(model.predict(rows[MODEL_FEATURES]))[:, 1]


def ask(name: str, flights: pd.DataFrame, workers: int) -> list[Answer]:
    """Send a request for each flight, in order, from several clients at once."""
    gateway = Gateway.from_environment()
    parts = [flights.iloc[start::workers] for start in range(workers)]

    def client(part: pd.DataFrame) -> list[Answer]:
        platform = Platform(gateway)
        return [_ask_one(platform, name, part.iloc[[row]]) for row in range(len(part))]

    _ = [_ask_one(Platform(gateway), name, flights.iloc[[0]]) for _ in range(min(WARM_UP, len(flights)))]
    with ThreadPoolExecutor(workers) as pool:
        answers = list(pool.map(client, parts))
    in_turn = itertools.chain.from_iterable(itertools.zip_longest(*answers))
    return [answer for answer in in_turn if answer is not None]


def identifier(flight: pd.DataFrame) -> str:
    """Return the id of the request about a flight; its label is handed over by the same."""
    return str(flight["flight_id"].iloc[0])


def refuse_other_versions(name: str, version: str, answers: list[Answer]) -> None:
    """Let only answers of one version pass; an answer that doesn't name its version counts as another's.

    Raises:
        DeploymentError: Another version answered.
    """
    others = sorted({answer.version for answer in answers} - {version})
    if others:
        raise DeploymentError(
            f"version {', '.join(others) or '(unnamed)'} answered",
            where=f"{name} version {version}",
            fix="serve it first",
        )


def _ask_one(platform: Platform, name: str, flight: pd.DataFrame) -> Answer:
    begun = time.perf_counter()
    rows = platform.features(flight)
    looked_up = time.perf_counter()
    probabilities, version = platform.predict(name, rows, identifier(flight))
    answered = time.perf_counter()
    return Answer(probabilities[0], version, (looked_up - begun) * 1000, (answered - looked_up) * 1000)


def _timings(answers: list[Answer], seconds: float) -> dict[str, Any]:
    whole = np.array([answer.features_ms + answer.serving_ms for answer in answers])
    serving = np.array([answer.serving_ms for answer in answers])
    return {
        "requests": len(answers),
        "requests_per_second": len(answers) / seconds,
        "p50_ms": float(np.percentile(whole, 50)),
        "p99_ms": float(np.percentile(whole, 99)),
        "serving_p50_ms": float(np.percentile(serving, 50)),
        "serving_p99_ms": float(np.percentile(serving, 99)),
    }


def _quality(client: mlflow.MlflowClient, name: str, version: str) -> dict[str, Any]:
    """Return what the evaluation of the version found."""
    with tracking.answering():
        run_id = client.get_model_version(name, version).run_id
        metrics = client.get_run(run_id).data.metrics
    by_month = {
        key.removeprefix("test_auc_").replace("_", "-"): value
        for key, value in sorted(metrics.items())
        if key.startswith("test_auc_")
    }
    return {"auc": metrics["test_auc"], "baseline_auc": metrics["baseline_auc"], "auc_by_month": by_month}
