"""What a role makes no more is removed: programs, routes, and what else its earlier runs noted; never data."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from terrace.targets.variables import edges, gateway_acts
from terrace.workload import Artifact, Metrics, Port, Route, Workload
from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, ROOT
from tests.host.machine import supervisor_status, users, wait_for

SETTINGS = Path("/etc/terrace", ENVIRONMENT)
PREFIX = f"terrace-{ENVIRONMENT}-tiny"
NOBODYS_PORT = 9 + PORT_SHIFT
NEEDS = [{"request": "^GET ", "right": "read"}]
TINY = Workload(
    "tiny",
    Artifact(),
    processes=(),
    ports=(Port("http", NOBODYS_PORT),),
    routes=(Route("/tiny/", "http", "gateway", "serving"),),
    metrics=(Metrics("http"),),
)


def _run(role: str, state: str, **variables: Any) -> subprocess.CompletedProcess[str]:
    names = {
        "terrace_role": role,
        "terrace_instance": "tiny",
        "terrace_digest": "d",
        "terrace_environment": ENVIRONMENT,
    }
    everything = {**names, "terrace_state": state, "terrace_delete_data": True, "terrace_proxy": "", **variables}
    command = ["playbooks/role.yml", "-i", "here,", "-c", "local", "-e", json.dumps(everything)]
    return subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), *command],
        cwd=ROOT / "ansible",
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def _service(state: str, *processes: str, **variables: Any) -> None:
    run = [{"name": name, "command": ["/bin/sleep", "9999"], "memory_mb": 64, "stop_seconds": 5} for name in processes]
    done = _run("service", state, service_name="tiny", service_processes=run, **variables)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.fixture
def tiny() -> Iterator[None]:
    """A service of two processes with a route and a scrape target; gone at the end."""
    reached = {name: edges(TINY)[name] for name in ("service_routes", "service_metrics")}
    try:
        _service("present", "one", "two", **reached)
        yield
    finally:
        _service("absent", "one")
    assert f"{PREFIX}-one" not in supervisor_status(ENVIRONMENT)
    assert PREFIX not in users(ENVIRONMENT)


def _tiny_programs() -> set[str]:
    return {name for name in supervisor_status(ENVIRONMENT) if name.startswith(PREFIX)}


@pytest.mark.usefixtures("platform", "tiny")
def test_what_a_service_has_no_more_goes(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/tiny/"
    routes = [SETTINGS / "gateway-routes" / f"tiny.{part}" for part in ("conf", "needs", "acts")]
    made = [*routes, SETTINGS / "scrape-targets" / "tiny.json"]
    assert [file for file in made if not file.is_file()] == []
    assert _tiny_programs() == {f"{PREFIX}-one", f"{PREFIX}-two"}
    wait_for(lambda: gateway.get(url, timeout=30).status_code == 502, 20)  # nothing listens behind the route

    _service("present", "one", "renamed")
    assert _tiny_programs() == {f"{PREFIX}-one", f"{PREFIX}-renamed"}
    assert [file for file in made if file.exists()] == []
    wait_for(lambda: gateway.get(url, timeout=30).status_code == 404, 20)
    noted = json.loads((SETTINGS / "manifest.d" / "service-tiny.json").read_text(encoding="utf-8"))
    assert set(noted["programs"]) == _tiny_programs()


@pytest.mark.usefixtures("platform")
def test_a_folder_that_is_removed_is_served_no_more(
    gateway: requests.Session, outputs: dict[str, Any], tmp_path: Path
) -> None:
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/folder/healthz"
    folder = {
        "gateway_folder_route": "/folder/",
        "gateway_folder_path": "/srv",
        "gateway_folder_upload_mb": 1,
        "gateway_folder_slot": "data_versioning",
        "gateway_folder_needs": NEEDS,
        "gateway_folder_acts": gateway_acts("/folder/", "data_versioning", (), reads=True),
    }
    try:
        assert _run("gateway_folder", "present", **folder).returncode == 0
        wait_for(lambda: gateway.get(url, timeout=30).status_code == 200, 20)
    finally:
        assert _run("gateway_folder", "absent", **folder).returncode == 0
    wait_for(lambda: gateway.get(url, timeout=30).status_code == 404, 20)


@pytest.mark.usefixtures("platform")
def test_artifacts_are_not_left_behind_when_their_folder_changes(tmp_path: Path) -> None:
    variables = {"artifact_folder_owner": "mlflow"}
    old, new = Path(f"/var/lib/terrace/{ENVIRONMENT}/tiny-old"), Path(f"/var/lib/terrace/{ENVIRONMENT}/tiny-new")
    try:
        assert _run("artifact_folder", "present", artifact_folder_path=str(old), **variables).returncode == 0
        (old / "model").write_text("weights", encoding="utf-8")
        refused = _run("artifact_folder", "present", artifact_folder_path=str(new), **variables)
        assert refused.returncode != 0
        assert f"{old} holds data, and the spec now says {new}" in refused.stdout
        assert not new.exists()
        old.rename(new)
        assert _run("artifact_folder", "present", artifact_folder_path=str(new), **variables).returncode == 0
    finally:
        assert _run("artifact_folder", "absent", artifact_folder_path=str(new), **variables).returncode == 0
    assert not new.exists()


@pytest.mark.usefixtures("platform")
def test_a_service_that_does_not_become_healthy_shows_its_last_log_lines() -> None:
    command = ["/bin/sh", "-c", "echo it has no idea; exec sleep 9999"]
    process = {"name": "one", "command": command, "memory_mb": 64, "stop_seconds": 5}
    probe = {"port": NOBODYS_PORT, "path": "/", "status": 200, "timeout_seconds": 4}
    try:
        done = _run("service", "present", service_name="tiny", service_processes=[process], service_probe=probe)
        assert done.returncode != 0
        assert "tiny did not start or did not become healthy" in done.stdout
        assert "it has no idea" in done.stdout
    finally:
        _service("absent", "one")
