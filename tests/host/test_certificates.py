"""A gateway whose certificate has expired: every command says so, `up` renews it, and nothing is lost meanwhile."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.host.certificates import expire
from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import wait_for

pytestmark = pytest.mark.drill

SAID = f"its certificate has expired, and is refused; renew it: terrace up {ENVIRONMENT}"
# What asks the platform through its gateway.
ASKING = (
    ("models", ENVIRONMENT),
    ("alerts", ENVIRONMENT),
    ("audit", ENVIRONMENT),
    ("promote", ENVIRONMENT, "any", "1"),
)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, cwd="/")


@pytest.fixture
def expired(platform: Platform) -> Iterator[None]:
    expire(_run, ENVIRONMENT, "gateway")
    yield
    platform.terrace("up", ENVIRONMENT, "--yes")


@pytest.fixture
def kept(outputs: dict[str, Any], gateway: requests.Session) -> str:
    """The address of a file that was acknowledged before."""
    url: str = outputs["connection"]["DVC_REMOTE_URL"] + f"before-it-expired/{uuid.uuid4().hex}"
    gateway.put(url, data=b"kept", timeout=60).raise_for_status()
    return url


def _refusal(url: str, gateway: requests.Session) -> str:
    """Return why a client of its own refuses what shows itself at ``url``; empty where it doesn't."""
    try:
        requests.head(url, verify=gateway.verify, auth=gateway.auth, timeout=60)
    except requests.exceptions.SSLError as error:
        return str(error)
    return ""


def _alerts(outputs: dict[str, Any]) -> set[tuple[str, str]]:
    """Return the alerts that are firing about certificates, as Prometheus itself says on loopback."""
    probe = next(one["probe_url"] for one in outputs["services"] if one["name"] == "prometheus")
    with requests.Session() as direct:
        direct.trust_env = False
        found = direct.get(probe.replace("-/healthy", "api/v1/alerts"), timeout=30)
    alerts = [one["labels"] for one in found.json()["data"]["alerts"] if one["state"] == "firing"]
    return {(one["alertname"], one["service"]) for one in alerts if one["alertname"].startswith("Certificate")}


def test_an_expired_certificate_is_told_and_renewed_and_nothing_is_lost(
    platform: Platform, outputs: dict[str, Any], gateway: requests.Session, kept: str, expired: None
) -> None:
    wait_for(lambda: "certificate has expired" in _refusal(kept, gateway), 30)  # nginx reads it anew a moment later
    with ThreadPoolExecutor(2) as pool:
        asked = list(pool.map(lambda words: platform.terrace(*words, check=False), ASKING))
    for done in asked:
        assert (done.returncode, "why: the certificate there has expired" in done.stderr) == (1, True), done.stderr
        assert "terrace up" in done.stderr
        assert "Traceback" not in done.stderr
    status = platform.terrace("status", ENVIRONMENT, check=False)
    down = [
        line for line in status.stdout.splitlines() if " DOWN " in line
    ]  # the gateway, and what is asked through it
    assert status.returncode == 1
    assert "gateway" in {line.split()[0] for line in down}
    assert [line for line in down if SAID not in line] == []
    wait_for(lambda: _alerts(outputs) == {("CertificateExpired", "gateway")}, 60)
    backup = platform.json("backup", ENVIRONMENT)["backup"]["id"]  # asks the host itself, and notes what it did

    summary = platform.json("up", ENVIRONMENT, "--yes")["summary"]

    assert (set(summary), summary["update"]) == ({"same", "update"}, 1)
    assert gateway.get(kept, timeout=60).content == b"kept"
    assert platform.json("status", ENVIRONMENT)["services"]
    records = platform.json("audit", ENVIRONMENT, "--action", "backup")
    assert f"backup {backup}" in {one.get("detail") for one in records}, "it has waited until the log could be reached"
    assert set(platform.json("up", ENVIRONMENT, "--yes")["summary"]) == {"same"}
    wait_for(lambda: not _alerts(outputs), 60)
