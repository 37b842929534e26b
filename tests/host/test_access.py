"""What the services let in, and what they refuse."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import program_pids, supervisor_status, wait_for

# Everything behind the gateway, with how it answers somebody without an account.
PATHS = (
    "/",
    "/mlflow/",
    "/feast/health",
    "/serving/v2/health/live",
    "/prometheus/",
    "/alertmanager/",
    "/dvc/x",
    "/portal/",
    "/drift/",
    "/workbench/lab",
)


@pytest.mark.parametrize("path", [*PATHS, "/mlflow/api/2.0/mlflow/experiments/search?max_results=1"])
def test_nothing_answers_without_an_account(outputs: dict[str, Any], path: str) -> None:
    connection = outputs["connection"]
    answer = requests.get(connection["TERRACE_GATEWAY_URL"] + path, verify=connection["TERRACE_CA_FILE"], timeout=30)
    assert answer.status_code == 401


def test_pipelines_are_closed_without_an_account(outputs: dict[str, Any]) -> None:
    connection = outputs["connection"]
    url = connection["PIPELINES_URL"].rstrip("/") + "/api/pipelines"
    assert requests.get(url, verify=connection["TERRACE_CA_FILE"], timeout=30).status_code == 401


@pytest.mark.parametrize(
    "path", ["/", "/feast/health", "/serving/v2/health/live", "/prometheus/-/healthy", "/alertmanager/-/healthy"]
)
def test_an_account_is_let_in(gateway: requests.Session, outputs: dict[str, Any], path: str) -> None:
    assert gateway.get(outputs["connection"]["TERRACE_GATEWAY_URL"] + path, timeout=30).status_code == 200


FOR_THE_MACHINE = (
    "/pipelines/metrics",
    "/portal/metrics",
    "/drift/metrics",
    "/serving/v2/repository/index",
    "/serving/invocations",
)


@pytest.mark.parametrize("path", FOR_THE_MACHINE)
def test_what_is_for_the_machine_alone_is_not_let_through(
    gateway: requests.Session, outputs: dict[str, Any], path: str
) -> None:
    assert gateway.get(outputs["connection"]["TERRACE_GATEWAY_URL"] + path, timeout=30).status_code == 404


def test_the_certificate_names_localhost_and_services_answer_there(outputs: dict[str, Any]) -> None:
    connection = outputs["connection"]
    port = connection["TERRACE_GATEWAY_URL"].rpartition(":")[2]
    answer = requests.get(
        f"https://localhost:{port}/mlflow/api/2.0/mlflow/experiments/search?max_results=1",
        auth=(connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"]),
        headers={"Origin": f"https://localhost:{port}"},
        verify=connection["TERRACE_CA_FILE"],
        timeout=30,
    )
    assert answer.status_code == 200


def test_the_first_page_links_to_every_service(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    page = gateway.get(outputs["connection"]["TERRACE_GATEWAY_URL"] + "/", timeout=30).text
    for path in (
        "/drift/",
        "/workbench/",
        "/mlflow/",
        "/feast/",
        "/serving/",
        "/prometheus/",
        "/alertmanager/",
        "/airflow/",
    ):
        assert re.search(f'<a href="https://[^/"]+{path.rstrip("/")}/?"', page), path


def test_the_certificate_is_of_the_environments_own_authority(outputs: dict[str, Any]) -> None:
    url = outputs["connection"]["TERRACE_GATEWAY_URL"]
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url, verify=ssl.get_default_verify_paths().cafile or True, timeout=30)


@pytest.mark.parametrize("path", ["/", "/mlflow/health", "/serving/v2/health/live"])
def test_nothing_is_said_without_tls(gateway: requests.Session, outputs: dict[str, Any], path: str) -> None:
    plain = outputs["connection"]["TERRACE_GATEWAY_URL"].replace("https://", "http://")
    answer = gateway.get(plain + path, timeout=30, allow_redirects=False)
    assert answer.status_code == 400
    assert "plain HTTP request was sent to HTTPS port" in answer.text


def test_a_wrong_password_is_refused(outputs: dict[str, Any]) -> None:
    connection = outputs["connection"]
    for user in ("admin", "projects", "serving"):
        answer = requests.get(
            connection["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/experiments/search?max_results=1",
            auth=(user, "wrong-password-1"),
            verify=connection["TERRACE_CA_FILE"],
            timeout=30,
        )
        assert answer.status_code == 401


def test_the_database_refuses_a_wrong_password(outputs: dict[str, Any]) -> None:
    connection = outputs["connection"]
    address = f"postgresql://feast:wrong@127.0.0.1:{connection['FEATURE_STORE_PORT']}/feast"
    refused = subprocess.run(["psql", address, "-c", "SELECT 1"], capture_output=True, text=True, check=False)
    assert "password authentication failed" in refused.stderr


def test_a_database_is_closed_to_the_owner_of_another(outputs: dict[str, Any]) -> None:
    connection = outputs["connection"]
    variables = {"PGPASSWORD": connection["FEATURE_STORE_PASSWORD"], "PATH": "/usr/bin:/bin"}
    address = f"postgresql://feast@127.0.0.1:{connection['FEATURE_STORE_PORT']}/mlflow"
    refused = subprocess.run(
        ["psql", address, "-c", "SELECT 1"], env=variables, capture_output=True, text=True, check=False
    )
    assert "permission denied for database" in refused.stderr


def test_the_data_remote_only_grows(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    url = outputs["connection"]["DVC_REMOTE_URL"].rstrip("/") + "/files/md5/aa/test-of-the-remote"
    first = gateway.put(url, data=b"first", timeout=30)
    again = gateway.put(url, data=b"second", timeout=30)
    assert (first.status_code, again.status_code) == (201, 409)
    assert gateway.get(url, timeout=30).content == b"first"
    assert gateway.delete(url, timeout=30).status_code in (403, 405)


def test_projects_cannot_change_accounts(platform: Platform, outputs: dict[str, Any]) -> None:
    connection = outputs["connection"]
    answer = requests.post(
        connection["MLFLOW_TRACKING_URI"] + "/api/2.0/mlflow/users/create",
        json={"username": "intruder", "password": "intruder-password-1"},
        auth=(connection["MLFLOW_TRACKING_USERNAME"], connection["MLFLOW_TRACKING_PASSWORD"]),
        verify=connection["TERRACE_CA_FILE"],
        timeout=30,
    )
    assert answer.status_code == 403


def test_a_certificate_that_ends_soon_is_replaced_while_the_gateway_runs(outputs: dict[str, Any]) -> None:
    url = urllib.parse.urlsplit(outputs["connection"]["TERRACE_GATEWAY_URL"])
    place = (url.hostname or "", url.port or 0)
    folder = Path(f"/etc/terrace/{ENVIRONMENT}/gateway")
    user = f"terrace-{ENVIRONMENT}-gateway"
    settings = json.loads((folder / "environment.json").read_text(encoding="utf-8"))
    shorten = (
        "import os, pathlib, certificates as c; c.VALID_DAYS = 5; c.RENEW_DAYS = 826; "
        "c.ensure(pathlib.Path(os.environ['CERTIFICATE_FOLDER']))"
    )
    python = f"/opt/terrace/{ENVIRONMENT}/gateway/venv/bin/python"
    subprocess.run(
        ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", python, "-Bc", shorten],
        env={**settings, "PYTHONPATH": str(folder)},
        cwd="/",
        check=True,
    )
    program = f"terrace-{ENVIRONMENT}-gateway-certificate"
    before = ssl.get_server_certificate(place)
    ending = Path(settings["CERTIFICATE_FOLDER"], "server.crt").read_text(encoding="utf-8")
    os.kill(program_pids(ENVIRONMENT)[program], signal.SIGKILL)  # it looks whenever it starts
    wait_for(lambda: ssl.get_server_certificate(place).strip() not in (before.strip(), ending.strip()), 60)
    wait_for(lambda: supervisor_status(ENVIRONMENT)[program] == "RUNNING", 60)
    page = requests.get(f"http://127.0.0.1:{_status_port()}/certificates", timeout=30).text
    ends = {line.split('"')[1]: float(line.split()[1]) for line in page.splitlines() if not line.startswith("#")}
    assert set(ends) == {"server", "authority"}
    assert min(ends.values()) > time.time() + 800 * 24 * 3600


def _status_port() -> int:
    targets = json.loads(Path(f"/etc/terrace/{ENVIRONMENT}/scrape-targets/gateway.json").read_text(encoding="utf-8"))
    found = [each for each in targets if each["labels"]["__metrics_path__"] == "/certificates"]
    return int(found[0]["targets"][0].rpartition(":")[2])
