"""What the tests of backups put on a platform, and how they ask for backups."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.databases import sql
from tests.host.machine import wait_for

DATA = Path(f"/var/lib/terrace/{ENVIRONMENT}")
CONTENT = b"weights of a model"


@dataclass(frozen=True)
class Kept:
    """What somebody has put on the platform: a run, a version made from it, an artifact, a data file, a feature."""

    experiment: str
    run: str
    artifact: str
    data: str


class Client:
    """Puts things on the platform as a project does, and looks for them."""

    def __init__(self, outputs: dict[str, Any], gateway: requests.Session) -> None:
        self._outputs, self._gateway = outputs, gateway
        self._name = f"drill-{uuid.uuid4().hex[:8]}"
        connection = outputs["connection"]
        self._mlflow = requests.Session()
        self._mlflow.trust_env = False
        self._mlflow.verify = connection["TERRACE_CA_FILE"]
        self._mlflow.auth = (connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])
        self._url = connection["MLFLOW_TRACKING_URI"] + "/api/2.0"

    def put(self) -> Kept:
        experiment = self._post("experiments/create", {"name": self._name})["experiment_id"]
        run = self._post("runs/create", {"experiment_id": experiment})["run"]["info"]
        self._post("runs/log-parameter", {"run_id": run["run_id"], "key": "depth", "value": "7"})
        artifact = f"{self._url}/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts/model.bin"
        self._mlflow.put(artifact, data=CONTENT, timeout=60).raise_for_status()
        self._post("registered-models/create", {"name": self._name})
        version = {"name": self._name, "source": run["artifact_uri"], "run_id": run["run_id"]}
        assert self._post("model-versions/create", version)["model_version"]["version"] == "1"
        data = self._outputs["connection"]["DVC_REMOTE_URL"] + f"{self._name}/one"
        self._gateway.put(data, data=CONTENT, timeout=60).raise_for_status()
        sql(self._outputs, "feast", f'CREATE TABLE "{self._name}" AS SELECT 42 AS feature')
        return Kept(experiment, run["run_id"], artifact, data)

    def remove(self, kept: Kept) -> None:
        """Leave the platform as it was."""
        self._mlflow.delete(f"{self._url}/mlflow/registered-models/delete", json={"name": self._name}, timeout=60)
        self._mlflow.post(f"{self._url}/mlflow/experiments/delete", json={"experiment_id": kept.experiment}, timeout=60)
        sql(self._outputs, "feast", f'DROP TABLE IF EXISTS "{self._name}"')
        shutil.rmtree(DATA / "artifacts" / "dvc" / self._name, ignore_errors=True)

    def lose_all(self) -> None:
        """Lose what an accident may take at once: artifacts, runs, and the rows of databases."""
        shutil.rmtree(DATA / "artifacts")
        shutil.rmtree(DATA / "airflow" / "runs")
        for database in ("mlflow", "mlflow_accounts", "feast"):
            sql(self._outputs, database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")

    def has(self, kept: Kept) -> bool:
        """Return whether all of it is there, as it was put."""
        run = self._mlflow.get(f"{self._url}/mlflow/runs/get", params={"run_id": kept.run}, timeout=60)
        version = self._mlflow.get(
            f"{self._url}/mlflow/model-versions/get", params={"name": self._name, "version": "1"}, timeout=60
        )
        if not (run.ok and version.ok):
            return False
        parameters = run.json()["run"]["data"]["params"]
        return (
            parameters == [{"key": "depth", "value": "7"}]
            and version.json()["model_version"]["run_id"] == kept.run
            and self._mlflow.get(kept.artifact, timeout=60).content == CONTENT
            and self._gateway.get(kept.data, timeout=60).content == CONTENT
            and sql(self._outputs, "feast", f'SELECT feature FROM "{self._name}"') == "42"
        )

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._mlflow.post(f"{self._url}/mlflow/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def back_up(platform: Platform) -> subprocess.CompletedProcess[str]:
    """Back up, after the service's own backup where one is running."""
    done: list[subprocess.CompletedProcess[str]] = []

    def tried() -> bool:
        done.append(platform.terrace("backup", ENVIRONMENT, "--json", check=False))
        return "is running already" not in done[-1].stderr

    wait_for(tried, 300)
    return done[-1]


def make_backup(platform: Platform) -> str:
    done = back_up(platform)
    assert done.returncode == 0, done.stderr
    made: str = json.loads(done.stdout)["backup"]["id"]
    return made


def backups(platform: Platform) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = platform.json("backup", ENVIRONMENT, "--list")["backups"]
    return listed


def metric(outputs: dict[str, Any], name: str) -> float:
    port = next(service["probe_port"] for service in outputs["services"] if service["slot"] == "backup")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = dict(line.split() for line in answer.read().decode().splitlines() if not line.startswith("#"))
    return float(lines[f"terrace_backup_{name}"])
