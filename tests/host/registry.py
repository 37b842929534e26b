"""What the tests ask the registry, over its public address alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests


class Registry:
    """MLflow's REST API behind the gateway, with the account of a project."""

    def __init__(self, connection: Mapping[str, str]) -> None:
        self._url = connection["MLFLOW_TRACKING_URI"]
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = connection["TERRACE_CA_FILE"]
        self._session.auth = (connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])

    def call(self, method: str, path: str, /, **content: Any) -> dict[str, Any]:
        """Call ``/api/2.0/mlflow/<path>`` and return its answer."""
        given: dict[str, Any] = {"params": content} if method == "GET" else {"json": content}
        url = f"{self._url}/api/2.0/mlflow/{path}"
        answer = self._session.request(method, url, timeout=60, **given)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        document: dict[str, Any] = answer.json()
        return document

    def version(self, name: str, number: str) -> dict[str, Any]:
        """Return a registered version."""
        version: dict[str, Any] = self.call("GET", "model-versions/get", name=name, version=number)["model_version"]
        return version

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a run."""
        run: dict[str, Any] = self.call("GET", "runs/get", run_id=run_id)["run"]
        return run

    def runs(self, experiment: str, query: str) -> list[dict[str, Any]]:
        """Return the runs of an experiment that a filter names."""
        found = self.call("GET", "experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
        answer = self.call("POST", "runs/search", experiment_ids=[found], filter=query, max_results=1000)
        runs: list[dict[str, Any]] = answer.get("runs", [])
        return runs

    def artifacts(self, run_id: str, folder: str = "") -> set[str]:
        """Return the paths of what a run keeps in a folder."""
        files = self.call("GET", "artifacts/list", run_id=run_id, path=folder).get("files", [])
        return {file["path"] for file in files}

    def artifact(self, run_id: str, path: str) -> bytes:
        """Return the content of a file that a run keeps."""
        experiment = self.run(run_id)["info"]["experiment_id"]
        url = f"{self._url}/get-artifact"
        answer = self._session.get(url, params={"run_id": run_id, "path": path}, timeout=60)
        assert answer.ok, f"{path} of {experiment}/{run_id}: {answer.status_code} {answer.text}"
        return answer.content


def plain(items: list[dict[str, str]]) -> dict[str, str]:
    """Return MLflow's list of keys and values as a mapping."""
    return {item["key"]: item["value"] for item in items}
