"""The drill: what a platform keeps is backed up, lost, and brought back; and what goes wrong is told and harmless."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.databases import sql
from tests.host.machine import Process, processes, wait_for

DATA = Path(f"/var/lib/terrace/{ENVIRONMENT}")
NAME = f"drill-{uuid.uuid4().hex[:8]}"
CONTENT = b"weights of a model"
KEPT = 3  # the last backups, by default


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
        connection = outputs["connection"]
        self._mlflow = requests.Session()
        self._mlflow.trust_env = False
        self._mlflow.verify = connection["TERRACE_CA_FILE"]
        self._mlflow.auth = (connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])
        self._url = connection["MLFLOW_TRACKING_URI"] + "/api/2.0"

    def put(self) -> Kept:
        experiment = self._post("experiments/create", {"name": NAME})["experiment_id"]
        run = self._post("runs/create", {"experiment_id": experiment})["run"]["info"]
        self._post("runs/log-parameter", {"run_id": run["run_id"], "key": "depth", "value": "7"})
        artifact = f"{self._url}/mlflow-artifacts/artifacts/{experiment}/{run['run_id']}/artifacts/model.bin"
        self._mlflow.put(artifact, data=CONTENT, timeout=60).raise_for_status()
        self._post("registered-models/create", {"name": NAME})
        version = {"name": NAME, "source": run["artifact_uri"], "run_id": run["run_id"]}
        assert self._post("model-versions/create", version)["model_version"]["version"] == "1"
        data = self._outputs["connection"]["DVC_REMOTE_URL"] + f"{NAME}/one"
        self._gateway.put(data, data=CONTENT, timeout=60).raise_for_status()
        sql(self._outputs, "feast", f'CREATE TABLE "{NAME}" AS SELECT 42 AS feature')
        return Kept(experiment, run["run_id"], artifact, data)

    def remove(self, kept: Kept) -> None:
        """Leave the platform as it was."""
        self._mlflow.delete(f"{self._url}/mlflow/registered-models/delete", json={"name": NAME}, timeout=60)
        self._mlflow.post(f"{self._url}/mlflow/experiments/delete", json={"experiment_id": kept.experiment}, timeout=60)
        sql(self._outputs, "feast", f'DROP TABLE IF EXISTS "{NAME}"')
        shutil.rmtree(DATA / "artifacts" / "dvc" / NAME, ignore_errors=True)

    def has(self, kept: Kept) -> bool:
        """Return whether all of it is there, as it was put."""
        run = self._mlflow.get(f"{self._url}/mlflow/runs/get", params={"run_id": kept.run}, timeout=60)
        version = self._mlflow.get(
            f"{self._url}/mlflow/model-versions/get", params={"name": NAME, "version": "1"}, timeout=60
        )
        if not (run.ok and version.ok):
            return False
        parameters = run.json()["run"]["data"]["params"]
        return (
            parameters == [{"key": "depth", "value": "7"}]
            and version.json()["model_version"]["run_id"] == kept.run
            and self._mlflow.get(kept.artifact, timeout=60).content == CONTENT
            and self._gateway.get(kept.data, timeout=60).content == CONTENT
            and sql(self._outputs, "feast", f'SELECT feature FROM "{NAME}"') == "42"
        )

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._mlflow.post(f"{self._url}/mlflow/{path}", json=body, timeout=60)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def _back_up(platform: Platform) -> subprocess.CompletedProcess[str]:
    """Back up, after the service's own backup where one is running."""
    done: list[subprocess.CompletedProcess[str]] = []

    def tried() -> bool:
        done.append(platform.terrace("backup", ENVIRONMENT, "--json", check=False))
        return "is running already" not in done[-1].stderr

    wait_for(tried, 300)
    return done[-1]


def _made(platform: Platform) -> str:
    done = _back_up(platform)
    assert done.returncode == 0, done.stderr
    made: str = json.loads(done.stdout)["backup"]["id"]
    return made


def _backups(platform: Platform) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = platform.json("backup", ENVIRONMENT, "--list")["backups"]
    return listed


def _metric(outputs: dict[str, Any], name: str) -> float:
    port = next(service["probe_port"] for service in outputs["services"] if service["slot"] == "backup")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = dict(line.split() for line in answer.read().decode().splitlines() if not line.startswith("#"))
    return float(lines[f"terrace_backup_{name}"])


@pytest.fixture(scope="module")
def place(outputs: dict[str, Any]) -> Path:
    url = next(service["url"] for service in outputs["services"] if service["slot"] == "backup")
    return Path(url.removeprefix("file://"), ENVIRONMENT)


def test_what_was_lost_comes_back(
    platform: Platform, outputs: dict[str, Any], gateway: requests.Session, place: Path, tmp_path: Path
) -> None:
    client = Client(outputs, gateway)
    kept = client.put()
    assert client.has(kept)
    made = _made(platform)
    audited = platform.json("audit", ENVIRONMENT, "--verify")["sequence"]
    elsewhere = shutil.copytree(place, tmp_path / "elsewhere")
    password = tmp_path / "password"
    password.write_text(outputs["credentials"]["backup"]["password"] + "\n")
    shutil.rmtree(DATA / "artifacts")
    shutil.rmtree(DATA / "airflow" / "runs")
    for database in ("mlflow", "mlflow_accounts", "feast"):
        sql(outputs, database, "DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    assert not client.has(kept)

    options = ("--from", str(elsewhere), "--password-file", str(password), "--snapshot", made)
    restored = platform.json("restore", ENVIRONMENT, *options, "--yes")

    assert restored["restored"]["id"] == made
    assert set(restored["restored"]["databases"]) >= {"mlflow", "mlflow_accounts", "feast"}
    assert restored["restored"]["left_out"] == []
    assert [service for service in restored["status"]["services"] if not service["healthy"]] == []
    assert client.has(kept)
    assert restored["restored"]["kept"] == [str(DATA / "audit")], "who did what since the backup stays on record"
    log = platform.json("audit", ENVIRONMENT, "--verify")
    assert log["problems"] == []
    assert log["sequence"] > audited
    (record,) = [one for one in platform.json("audit", ENVIRONMENT, "--action", "restore") if made in one["object"]][
        -1:
    ]
    assert record["outcome"] == "ok"
    user = f"terrace-{ENVIRONMENT}-airflow"
    assert {(path.owner(), path.group()) for path in (DATA / "airflow").rglob("*")} == {(user, user)}
    assert set(platform.json("up", ENVIRONMENT, "--yes")["summary"]) == {"same"}
    client.remove(kept)


def test_old_backups_make_room(platform: Platform, outputs: dict[str, Any]) -> None:
    made = [_made(platform) for _ in range(KEPT + 1)]
    listed = _backups(platform)
    assert [one["id"] for one in listed][-KEPT:] == made[-KEPT:]
    days = {one["time"][:10] for one in listed}
    assert len(listed) <= KEPT + len(days) - 1, "the last of each day stays, too"
    assert all(one["bytes"] > 0 and one["seconds"] > 0 for one in listed[-KEPT:])
    assert _metric(outputs, "kept") == len(listed)
    assert _metric(outputs, "last_run_succeeded") == 1


def test_a_place_that_is_gone_is_told_and_alerts(platform: Platform, outputs: dict[str, Any], place: Path) -> None:
    away = place.with_name(f"{place.name}-away")
    last = _metric(outputs, "last_success_timestamp_seconds")
    place.rename(away)
    try:
        failed = _back_up(platform)
        assert failed.returncode != 0
        assert f"there is no backup repository in {place}" in failed.stderr
        assert "isn't mounted" in failed.stderr
        assert _metric(outputs, "last_run_succeeded") == 0, "what the alert BackupFailed looks at"
        assert _metric(outputs, "last_success_timestamp_seconds") == last
        refused = platform.terrace("restore", ENVIRONMENT, "--yes", check=False)
        assert refused.returncode == 2
        assert f"there is no backup repository in {place}" in refused.stderr
    finally:
        away.rename(place)
    _made(platform)
    assert _metric(outputs, "last_run_succeeded") == 1


def test_a_wrong_password_is_refused_with_everything_running(platform: Platform, place: Path) -> None:
    before = {(process.pid, process.user) for process in processes(ENVIRONMENT)}
    refused = platform.terrace(
        "restore", ENVIRONMENT, "--from", str(place), "--yes", check=False, TERRACE_BACKUP_PASSWORD="not-the-password"
    )
    assert refused.returncode == 2
    assert "the password opens none of the backups in" in refused.stderr
    assert "not-the-password" not in refused.stderr
    services = {process.user for process in processes(ENVIRONMENT)}
    assert services == {user for _, user in before}
    assert platform.json("status", ENVIRONMENT)["services"], "nothing was stopped"


@pytest.fixture
def much_data() -> Iterator[Path]:
    """A file that takes a while to back up."""
    file = DATA / "artifacts" / "mlflow" / "much"
    file.write_bytes(os.urandom(64 * 2**20))
    yield file
    file.unlink()


def _agents() -> list[Process]:
    """Return the processes of a backup that is writing: the agent's that was asked for it, and restic."""
    running = [one for one in processes(ENVIRONMENT) if one.user == f"terrace-{ENVIRONMENT}-backup"]
    commands: dict[Process, str] = {}
    for process in running:
        try:
            commands[process] = process.command
        except OSError:
            continue
    if not any(" backup --json" in command for command in commands.values()):
        return []
    return [process for process, command in commands.items() if "serve" not in command]


def test_the_backup_after_one_that_was_killed_is_whole(
    platform: Platform, outputs: dict[str, Any], much_data: Path
) -> None:
    before = [one["id"] for one in _backups(platform)]
    killed = subprocess.Popen(
        [sys.executable, "-m", "terrace", "backup", ENVIRONMENT, "--project", platform.root],
        env=platform.variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not (writing := _agents()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    for process in writing:
        os.kill(process.pid, signal.SIGKILL)
    assert killed.wait(60) == 1
    assert [one["id"] for one in _backups(platform)] == before, "there is no half backup"
    whole = _made(platform)
    assert _backups(platform)[-1]["id"] == whole
    assert _backups(platform)[-1]["bytes"] > much_data.stat().st_size
    assert _metric(outputs, "last_run_succeeded") == 1


@pytest.mark.usefixtures("platform")
def test_only_the_backups_user_enters_its_place(place: Path) -> None:
    assert place.stat().st_mode & 0o777 == 0o700
    assert place.owner() == f"terrace-{ENVIRONMENT}-backup"
