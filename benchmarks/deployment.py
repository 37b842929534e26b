"""How long it takes from registering a new version of a model to its first served prediction, and back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import requests

from benchmarks.figures import Figure
from benchmarks.platform import MODEL, PlatformUnderTest, platform
from terrace.models import Models

LOGGED_MODEL = "models:/"


def measure(env: str) -> Iterator[Figure]:
    """Register the version in production once more, put it into production, take the step back, and remove it."""
    found = platform(env)
    models = Models(env, found.outputs)
    before = models.get(MODEL).production
    if before is None:
        raise SystemExit(f"no version of {MODEL} is in production in {env}: run `make demo` first")
    registry = _Registry(found)
    begun = time.perf_counter()
    version = registry.register_again(before)
    try:
        models.promote(MODEL, version, by="benchmark")
        answer = found.prediction(gateway=True)().json()
        if answer["model_version"] != version:
            raise RuntimeError(f"version {answer['model_version']} answered, and not {version}")
        yield Figure("registered version to its first prediction", time.perf_counter() - begun, "s", 60)
    finally:
        begun = time.perf_counter()
        models.promote(MODEL, before, by="benchmark")
        taken = time.perf_counter() - begun
        registry.remove(version)
    yield Figure("the version before back in production", taken, "s", 60)


class _Registry:
    """MLflow's REST API, by the project's account."""

    def __init__(self, of: PlatformUnderTest) -> None:
        connection = of.connection
        self._url = connection["MLFLOW_TRACKING_URI"].rstrip("/") + "/api/2.0/mlflow/model-versions/"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.auth = (connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])
        self._session.verify = connection["TERRACE_CA_FILE"]

    def register_again(self, version: str) -> str:
        """Register a version's files and what is said of it once more; returns the new version."""
        first = self._call("GET", "get", name=MODEL, version=version)["model_version"]
        tags = [tag for tag in first.get("tags", []) if not tag["key"].startswith("terrace.serving.")]
        source = first["source"]
        again = {"name": MODEL, "source": source, "run_id": first["run_id"], "tags": tags}
        if source.startswith(LOGGED_MODEL):
            again["model_id"] = source.removeprefix(LOGGED_MODEL)
        return str(self._call("POST", "create", **again)["model_version"]["version"])

    def remove(self, version: str) -> None:
        self._call("DELETE", "delete", name=MODEL, version=version)

    def _call(self, method: str, what: str, **content: Any) -> dict[str, Any]:
        sent: dict[str, Any] = {"params": content} if method == "GET" else {"json": content}
        answer = self._session.request(method, self._url + what, timeout=30, **sent)
        answer.raise_for_status()
        return dict(answer.json())
