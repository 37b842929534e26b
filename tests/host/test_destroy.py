"""The end of a platform: what goes, what stays, and what comes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import requests

from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, Platform
from tests.host.machine import (
    Changes,
    changes,
    folders,
    installed_packages,
    listeners,
    open_ports,
    processes,
    users,
)

DATA = Path(f"/var/lib/terrace/{ENVIRONMENT}")


def _experiments(outputs: dict[str, Any]) -> set[str]:
    connection = outputs["connection"]
    answer = requests.get(
        connection["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments/search?max_results=100",
        auth=(connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"]),
        verify=connection["TERRACE_CA_FILE"],
        timeout=60,
    )
    answer.raise_for_status()
    return {experiment["name"] for experiment in answer.json()["experiments"]}


def test_destroy_keeps_the_data_and_up_finds_it_again(platform: Platform) -> None:
    before = _experiments(platform.outputs())
    ports = set(listeners(ENVIRONMENT))
    assert min(ports) > PORT_SHIFT
    platform.terrace("destroy", ENVIRONMENT, "--yes")
    assert processes(ENVIRONMENT) == []
    assert open_ports() & ports == set()
    assert folders(ENVIRONMENT) == [DATA]
    assert {DATA / "mlflow", DATA / "postgres"} <= set(DATA.iterdir())
    platform.terrace("up", ENVIRONMENT, "--yes")
    assert _experiments(platform.outputs()) == before
    assert platform.json("audit", ENVIRONMENT, "--verify")["problems"] == [], "a new chain, of the new platform's key"
    destroyed = platform.json("audit", ENVIRONMENT, "--action", "destroy")
    assert {"begun", "ok"} <= {one["outcome"] for one in destroyed}, "the end waited for the next `up`"


def test_data_that_was_kept_can_be_deleted_later(platform: Platform) -> None:
    ports = set(listeners(ENVIRONMENT))
    came = changes(ENVIRONMENT)
    platform.terrace("destroy", ENVIRONMENT, "--yes")
    assert folders(ENVIRONMENT) == [DATA]
    platform.terrace("destroy", ENVIRONMENT, "--yes", "--delete-data")
    assert (processes(ENVIRONMENT), users(ENVIRONMENT), folders(ENVIRONMENT)) == ([], [], [])
    assert open_ports() & ports == set()
    _is_as_before(came)
    assert platform.terrace("destroy", ENVIRONMENT, "--yes").returncode == 0, "a second destroy has nothing to do"


def _is_as_before(came: Changes) -> None:
    """What came with the environment is gone, unless another environment on the machine took it over."""
    assert list(Path("/etc/systemd/system").rglob(f"terrace-{ENVIRONMENT}-*")) == []
    assert list(Path("/run/terrace").glob(f"{ENVIRONMENT}*")) == []
    if came.alone:
        assert came.packages & installed_packages() == set()
        assert [path for path in came.masked if path.is_symlink()] == []
        assert not Path("/run/terrace").exists()
