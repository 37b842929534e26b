"""The portal: one page at the gateway's root."""

from __future__ import annotations

from typing import Any

import requests
import yaml

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import wait_for


def test_the_first_page_lists_owners_and_runbooks(
    platform: Platform, gateway: requests.Session, outputs: dict[str, Any]
) -> None:
    root = outputs["connection"]["TERRACE_GATEWAY_URL"]
    page = gateway.get(root + "/", timeout=30).text
    spec = yaml.safe_load(platform.stack_file.read_text(encoding="utf-8"))["config"]["terrace:platform"]

    for name, use_case in spec["use_cases"].items():
        section = page.partition(f'aria-label="{name}"')[2].partition("</section>")[0]
        assert use_case["owner"] in section
        assert use_case["goal"] in section
    for service in outputs["services"]:
        assert service["url"] in page
    rules = gateway.get(root + "/prometheus/api/v1/rules", timeout=30).json()["data"]["groups"]
    runbooks = gateway.get(root + "/prometheus/consoles/runbooks.html", timeout=30).text
    for name in (rule["name"].lower() for group in rules for rule in group["rules"]):
        assert f'href="/prometheus/consoles/runbooks.html#{name}"' in page
        assert f'id="{name}"' in runbooks


def test_the_page_says_what_explain_says(
    platform: Platform, gateway: requests.Session, outputs: dict[str, Any]
) -> None:
    page = gateway.get(outputs["endpoints"]["portal"], timeout=30).text
    for cell in platform.json("explain", ENVIRONMENT)["cells"]:
        assert cell["title"] in page
        assert f">{cell['coverage']}</span>" in page.partition(f"Tier {cell['tier']}: ")[2]


def test_health_is_live(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    address = outputs["endpoints"]["portal"] + "health.json"

    def healthy() -> set[str]:
        services = gateway.get(address, timeout=30).json()["services"]
        return {service["name"] for service in services if service["healthy"]}

    wait_for(lambda: healthy() == {service["name"] for service in outputs["services"]}, 60)


def test_the_page_loads_nothing_from_elsewhere(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    root = outputs["endpoints"]["portal"]
    policy = gateway.get(root, timeout=30).headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'")
    for name, kind in (("style.css", "text/css"), ("charts.js", "text/javascript"), ("portal.js", "text/javascript")):
        answer = gateway.get(root + name, timeout=30)
        assert (answer.status_code, answer.headers["Content-Type"].partition(";")[0]) == (200, kind)
