"""The dashboards ask for what Prometheus has."""

from __future__ import annotations

from typing import Any

import requests

from components.monitoring.parts import dashboards
from tests.host.machine import wait_for

PAGES = {"index": "Overview", "services": "Services", "host": "Host", "runbooks": "Runbooks"}
# What has series from the first scrape on; the rest has them once it is used.
ALWAYS = {
    "services": ("All services", "Gateway", "Database", "Monitoring"),
    "host": ("Processors and memory", "Disks", "Network"),
}


def _url(outputs: dict[str, Any], path: str) -> str:
    return str(outputs["connection"]["TERRACE_GATEWAY_URL"]) + "/prometheus/" + path


def _series(gateway: requests.Session, outputs: dict[str, Any], expression: str) -> list[Any]:
    answer = gateway.get(_url(outputs, "api/v1/query"), params={"query": expression}, timeout=30)
    assert answer.status_code == 200, f"{expression}: {answer.text}"
    found: list[Any] = answer.json()["data"]["result"]
    return found


def test_every_panel_can_be_asked_for(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    queries = [
        (query, _series(gateway, outputs, query.expr))
        for board in dashboards.load().values()
        for row in board.rows
        for panel in row.panels
        for query in panel.queries
    ]
    assert len(queries) > 40
    unnamed = [query.expr for query, found in queries for one in found if query.by and query.by not in one["metric"]]
    assert unnamed == []
    ambiguous = [query.expr for query, found in queries if query.legend and len(found) > 1]
    assert ambiguous == [], "a query with one name has one series"


def test_what_is_always_measured_is_shown(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    expressions = [
        query.expr
        for name, titles in ALWAYS.items()
        for row in dashboards.load()[name].rows
        if row.title in titles
        for panel in row.panels
        for query in panel.queries
        if "alertmanager_notification" not in query.expr or "failed" not in query.expr
    ]
    assert len(expressions) > 20
    for expression in expressions:
        wait_for(lambda expression=expression: bool(_series(gateway, outputs, expression)), 60)  # type: ignore[misc]


def test_console_pages_are_behind_the_gateway(gateway: requests.Session, outputs: dict[str, Any]) -> None:
    for name, title in PAGES.items():
        address = _url(outputs, f"consoles/{name}.html")
        answer = gateway.get(address, timeout=30)
        assert (answer.status_code, f"<h1>{title}</h1>" in answer.text) == (200, True), name
        assert answer.headers["Content-Type"].startswith("text/html")
        refused = requests.get(address, verify=str(gateway.verify), timeout=30)
        assert refused.status_code == 401
