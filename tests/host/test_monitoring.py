"""Prometheus sees every service, and its rules fire when they should."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.host.conftest import ENVIRONMENT
from tests.host.machine import wait_for

TESTS = Path(__file__).parents[1] / "monitoring" / "rules.test.yaml"
RULES = Path(__file__).parents[2] / "components" / "monitoring" / "rules.yaml"


def _targets(gateway: requests.Session, outputs: dict[str, Any]) -> dict[str, str]:
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/targets?state=active"
    found = gateway.get(url, timeout=30).json()["data"]["activeTargets"]
    return {target["scrapeUrl"]: target["health"] for target in found}


def test_every_service_is_scraped(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    wait_for(lambda: set(_targets(gateway, outputs).values()) == {"up"}, 60)
    noted = {path.stem for path in Path(f"/etc/terrace/{ENVIRONMENT}/scrape-targets").glob("*.json")}
    assert noted == {
        *("airflow", "audit", "backup", "evidently", "feast", "gateway", "mlflow", "mlserver"),
        *("portal", "postgres", "prometheus", "workbench"),
    }
    assert len(_targets(gateway, outputs)) >= len(noted)


def test_prometheus_has_loaded_the_rules(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    url = outputs["connection"]["TERRACE_GATEWAY_URL"] + "/prometheus/api/v1/rules"
    loaded = {
        rule["name"] for group in gateway.get(url, timeout=30).json()["data"]["groups"] for rule in group["rules"]
    }
    written = {rule["alert"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]}
    assert loaded == written


def test_the_rules_are_right() -> None:
    for command in (["promtool", "check", "rules", RULES], ["promtool", "test", "rules", TESTS]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
