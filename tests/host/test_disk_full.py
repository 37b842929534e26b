"""A full disk: what was acknowledged stays, what doesn't fit is refused, somebody is told, and space brings it back."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT
from tests.host.machine import wait_for
from tests.host.registry import Registry

pytestmark = pytest.mark.drill

DISK_MB, PIECE = 16, b"w" * 2**20


@dataclass(frozen=True)
class Small:
    """A run whose artifacts lie on a small disk of their own.

    Attributes:
        folder: Where it is mounted for MLflow, which alone may look into it.
        disk: Where it is mounted for everybody: the exporter of metrics sees no disk in a folder that is closed to it.
        url: Where its artifacts are sent to.
        session: MLflow's client.
    """

    folder: Path
    disk: Path
    url: str
    session: requests.Session

    def send(self, name: str, content: bytes) -> int:
        """Send an artifact and return the answer's status."""
        return self.session.put(f"{self.url}/{name}", data=content, timeout=60).status_code

    def get(self, name: str) -> bytes:
        """Return an artifact."""
        answer = self.session.get(f"{self.url}/{name}", timeout=60)
        assert answer.ok, answer.text
        return answer.content


@pytest.fixture
def small(outputs: dict[str, Any], tmp_path: Path) -> Iterator[Small]:
    connection = outputs["connection"]
    registry = Registry(connection)
    experiment = registry.call("POST", "experiments/create", name=f"full-{uuid.uuid4().hex[:8]}")["experiment_id"]
    run = registry.call("POST", "runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    session = requests.Session()
    session.trust_env = False
    session.verify = connection["TERRACE_CA_FILE"]
    session.auth = (connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"])
    base = f"{connection['MLFLOW_TRACKING_URI']}/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts"
    folder = Path(f"/var/lib/terrace/{ENVIRONMENT}/artifacts/mlflow/{experiment}/{run}/artifacts")
    made = Small(folder, Path(f"/mnt/terrace-{ENVIRONMENT}-small"), base, session)
    assert made.send("first", b"first") == 200
    image = tmp_path / "image"
    image.touch()
    os.truncate(image, DISK_MB * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True)
    status = made.folder.stat()
    made.disk.mkdir()
    with ExitStack() as stack:
        stack.callback(registry.call, "POST", "experiments/delete", experiment_id=experiment)
        stack.callback(made.disk.rmdir)
        for mount in (("-o", "loop", image, made.disk), ("--bind", made.disk, made.folder)):
            subprocess.run(["mount", *mount], check=True)
            stack.callback(subprocess.run, ["umount", mount[-1]], check=True)
        os.chown(made.folder, status.st_uid, status.st_gid)
        yield made


def _alerts(gateway: requests.Session, outputs: dict[str, Any], folder: Path) -> list[str]:
    """Return the states of the alert for a disk."""
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/alerts"
    found = gateway.get(url, timeout=30).json()["data"]["alerts"]
    labels = {"alertname": "DiskAlmostFull", "mountpoint": str(folder)}
    return [alert["state"] for alert in found if alert["labels"].items() >= labels.items()]


def test_a_full_disk_loses_nothing_acknowledged_and_is_told(
    small: Small, gateway: requests.Session, outputs: dict[str, Any]
) -> None:
    answers = [small.send(f"{number}", PIECE) for number in range(DISK_MB)]
    kept = answers.index(500)
    assert answers[:kept] == [200] * kept
    assert kept >= DISK_MB // 2
    assert [small.get(f"{number}") == PIECE for number in range(kept)] == [True] * kept
    wait_for(lambda: bool(_alerts(gateway, outputs, small.disk)), 120)

    for number in range(DISK_MB // 2, DISK_MB):
        (small.folder / f"{number}").unlink(missing_ok=True)
    assert small.send("later", PIECE) == 200
    assert small.get("later") == PIECE
    wait_for(lambda: not _alerts(gateway, outputs, small.disk), 120)
