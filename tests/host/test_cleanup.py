"""What was deleted in MLflow long ago goes for good, what a registered version came from stays, a restore brings back.

Nobody waits for a month: the tests tell MLflow and the cleanup that it was deleted earlier.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.databases import sql
from tests.host.machine import wait_for
from tests.host.people import Client

pytestmark = pytest.mark.drill

DATA = Path(f"/var/lib/terrace/{ENVIRONMENT}")
RECORDS = DATA / "mlflow" / "cleanup"
STORE = DATA / "artifacts" / "mlflow"
SUPERVISOR = ("supervisorctl", "-c", f"/etc/terrace/{ENVIRONMENT}/supervisor/supervisord.conf")
SERVER = f"terrace-{ENVIRONMENT}-mlflow-server"
CONTENT = b"weights of a model"
LONG_AGO = time.time() - 60 * 86400
CLEANING_SECONDS = 180


@dataclass(frozen=True)
class Deleted:
    """What somebody has deleted: a run, one that a registered version came from, a model, an experiment with a run."""

    experiment: str
    run: str
    model: str
    registered: str
    name: str
    gone: str
    gone_run: str

    @property
    def folders(self) -> list[Path]:
        """The artifacts of the run, the logged model, and the experiment."""
        own = STORE / self.experiment
        return [own / self.run / "artifacts", own / "models" / self.model / "artifacts", STORE / self.gone]

    @property
    def kept_folder(self) -> Path:
        """The artifacts of what was registered."""
        return STORE / self.experiment / self.registered / "artifacts"


@pytest.fixture(scope="module")
def client(outputs: dict[str, Any]) -> Client:
    """A project."""
    connection = outputs["connection"]
    return Client.of(outputs, connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])


def _run(client: Client, experiment: str) -> str:
    """Make a run with an artifact."""
    made: str = client.mlflow("POST", "runs/create", experiment_id=experiment).json()["run"]["info"]["run_id"]
    _keep(client, f"{experiment}/{made}")
    return made


def _model(client: Client, experiment: str) -> str:
    """Make a logged model with an artifact."""
    made: str = client.mlflow("POST", "logged-models", experiment_id=experiment).json()["model"]["info"]["model_id"]
    _keep(client, f"{experiment}/models/{made}")
    return made


def _keep(client: Client, folder: str) -> None:
    path = f"/mlflow/api/2.0/mlflow-artifacts/artifacts/{folder}/artifacts/model.bin"
    client.ask("PUT", path, data=CONTENT).raise_for_status()


@pytest.fixture(scope="module")
def deleted(outputs: dict[str, Any], client: Client) -> Iterator[Deleted]:
    name = f"cleanup-{uuid.uuid4().hex[:8]}"
    experiment = client.mlflow("POST", "experiments/create", name=name).json()["experiment_id"]
    gone = client.mlflow("POST", "experiments/create", name=f"{name}-gone").json()["experiment_id"]
    run, registered = _run(client, experiment), _run(client, experiment)
    found = Deleted(experiment, run, _model(client, experiment), registered, name, gone, _run(client, gone))
    source = client.mlflow("GET", "runs/get", run_id=found.registered).json()["run"]["info"]["artifact_uri"]
    client.mlflow("POST", "registered-models/create", name=name).raise_for_status()
    version = {"name": name, "source": source, "run_id": found.registered}
    client.mlflow("POST", "model-versions/create", **version).raise_for_status()
    for run in (found.run, found.registered):
        client.mlflow("POST", "runs/delete", run_id=run).raise_for_status()
    client.mlflow("DELETE", f"logged-models/{found.model}").raise_for_status()
    client.mlflow("POST", "experiments/delete", experiment_id=gone).raise_for_status()
    yield found
    client.mlflow("DELETE", "registered-models/delete", name=name)
    client.mlflow("POST", "experiments/delete", experiment_id=experiment)


def _age(outputs: dict[str, Any], deleted: Deleted) -> None:
    """Tell MLflow that it was deleted long ago."""
    _age_runs(outputs, deleted.run, deleted.registered, deleted.gone_run)
    for table, column, id_ in (
        ("logged_models", "last_updated_timestamp_ms", f"model_id = '{deleted.model}'"),
        ("experiments", "last_update_time", f"experiment_id = {deleted.gone}"),
    ):
        sql(outputs, "mlflow", f"UPDATE {table} SET {column} = {LONG_AGO * 1000:.0f} WHERE {id_}")


def _age_runs(outputs: dict[str, Any], *runs: str) -> None:
    ids = ", ".join(f"'{run}'" for run in runs)
    sql(outputs, "mlflow", f"UPDATE runs SET deleted_time = {LONG_AGO * 1000:.0f} WHERE run_uuid IN ({ids})")


def _clean(seen: float | None = None) -> dict[str, Any]:
    """Let the cleanup believe that a day is over, and that it has seen all that it has since ``seen``; wait for it."""
    state = RECORDS / "state.json"
    if seen is not None:
        file = RECORDS / "seen.json"
        file.write_text(json.dumps(dict.fromkeys(json.loads(file.read_text()), seen)))
    begun = time.time()
    state.write_text(json.dumps(json.loads(state.read_text()) | {"started": 0, "ended": 0, "error": ""}))
    wait_for(lambda: (json.loads(state.read_text())["ended"] or 0) > begun, CLEANING_SECONDS)
    found: dict[str, Any] = json.loads(state.read_text())
    return found


def _clean_without_store() -> dict[str, Any]:
    """Let it clean while the artifact store is away."""
    elsewhere = STORE.with_suffix(".away")
    STORE.rename(elsewhere)
    try:
        return _clean()
    finally:
        elsewhere.rename(STORE)


def _removed(gateway: requests.Session, outputs: dict[str, Any], kind: str) -> float:
    url = outputs["endpoints"]["metrics"] + "api/v1/query"
    query = f'terrace_cleanup_removed_total{{kind="{kind}"}}'
    result = gateway.get(url, params={"query": query}, timeout=30).json()["data"]["result"]
    return float(result[0]["value"][1]) if result else 0


def test_what_was_deleted_goes_in_its_time_and_comes_back_by_a_restore(
    platform: Platform, outputs: dict[str, Any], gateway: requests.Session, client: Client, deleted: Deleted
) -> None:
    wait_for(lambda: bool(json.loads((RECORDS / "state.json").read_text())["succeeded"]), CLEANING_SECONDS)
    _clean()
    assert all(folder.is_dir() for folder in deleted.folders), "it was deleted just now"
    _age(outputs, deleted)
    _clean()
    assert all(folder.is_dir() for folder in deleted.folders), "the cleanup has seen it just now"
    made = platform.json("backup", ENVIRONMENT)["backup"]["id"]

    state = _clean(seen=LONG_AGO)

    assert (state["error"], state["failed"]) == ("", 0)
    assert not any(folder.exists() for folder in deleted.folders)
    for run in (deleted.run, deleted.gone_run):
        assert client.mlflow("GET", "runs/get", run_id=run).status_code in (403, 404)
    assert sql(outputs, "mlflow", f"SELECT count(*) FROM experiments WHERE experiment_id = {deleted.gone}") == "0"
    assert (deleted.kept_folder / "model.bin").read_bytes() == CONTENT, "a version came from it"
    wait_for(lambda: _removed(gateway, outputs, "experiment") >= 1 and _removed(gateway, outputs, "run") >= 2, 60)
    records = platform.json("audit", ENVIRONMENT, "--action", "delete_for_good", "--limit", "5000")
    told = {record["object"]: record for record in records}
    assert told[f"tracking: run {deleted.run}"]["source"] == "mlflow"
    others = (f"run {deleted.gone_run}", f"logged model {deleted.model}", f"experiment {deleted.gone}")
    assert {f"tracking: {other}" for other in others} <= told.keys()
    assert f"tracking: run {deleted.registered}" not in told

    platform.json("restore", ENVIRONMENT, "--snapshot", made, "--yes")

    assert (deleted.folders[0] / "model.bin").read_bytes() == CONTENT
    _clean()
    assert all(folder.is_dir() for folder in deleted.folders), "it has all its time again"
    client.mlflow("POST", "runs/restore", run_id=deleted.run).raise_for_status()
    assert client.mlflow("GET", "runs/get", run_id=deleted.run).json()["run"]["info"]["lifecycle_stage"] == "active"


def test_a_run_goes_once_no_version_needs_it(outputs: dict[str, Any], client: Client, deleted: Deleted) -> None:
    client.mlflow("DELETE", "model-versions/delete", name=deleted.name, version="1").raise_for_status()
    _clean()
    assert (deleted.kept_folder / "model.bin").is_file(), "the time begins when the version goes"
    _age(outputs, deleted)
    _clean(seen=LONG_AGO)
    assert not deleted.kept_folder.exists()


def test_what_cannot_be_removed_goes_later_and_what_was_restored_stays(
    outputs: dict[str, Any], client: Client, deleted: Deleted
) -> None:
    run, restored = _run(client, deleted.experiment), _run(client, deleted.experiment)
    folder, kept = (STORE / deleted.experiment / each / "artifacts" for each in (run, restored))
    for each in (run, restored):
        client.mlflow("POST", "runs/delete", run_id=each).raise_for_status()
    _age_runs(outputs, run, restored)
    _clean()
    client.mlflow("POST", "runs/restore", run_id=restored).raise_for_status()
    subprocess.run([*SUPERVISOR, "stop", SERVER], check=True, capture_output=True)
    try:
        state = _clean(seen=LONG_AGO)
        assert (state["failed"], state["error"]) == (1, "1 could not be removed")
        assert (folder / "model.bin").read_bytes() == CONTENT
        assert _clean_without_store()["error"] == "the cleaning ended with 1"
    finally:
        subprocess.run([*SUPERVISOR, "start", SERVER], check=True, capture_output=True)
    wait_for(lambda: client.mlflow("GET", "runs/get", run_id=run).status_code == 200, CLEANING_SECONDS)
    state = _clean()
    assert (state["failed"], state["error"]) == (0, "")
    assert not folder.exists()
    assert (kept / "model.bin").read_bytes() == CONTENT
