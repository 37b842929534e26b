"""What monitoring is made with: Alertmanager's configuration, dashboards, console pages, and runbooks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.monitoring.parts import consoles, dashboards, notices
from components.monitoring.parts.dashboards import Query
from terrace.notify import SEVERITIES, Notify

ROOT = Path(__file__).parents[2]
RULES = yaml.safe_load((ROOT / "components" / "monitoring" / "rules.yaml").read_text(encoding="utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
SECRET = {"secure": "v1:YWJj:YWJj"}
EMAIL = {"host": "mail.example.org", "from": "a@example.org", "to": ["b@example.org", "c@example.org"]}
ALL = {
    "email": {**EMAIL, "user": "terrace", "password": SECRET, "ca_file": "/etc/ca.crt"},
    "webhook": {"url": "https://hooks.example.org/x", "token": SECRET},
    "chat": {"url": SECRET},
    "routes": {"warning": ["chat"]},
}


def configuration(notify: Notify | None) -> dict[str, Any]:
    found = {file.path: file.content for file in notices.files(notify)}
    content = found["alertmanager.yml"]
    assert isinstance(content, str)
    return {"files": set(found), **yaml.safe_load(content)}


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Secrets as words, where a program has outputs."""
    monkeypatch.setattr(notices, "secret_of_spec", lambda *path: f"secret {'.'.join(path)}")


def routed(found: dict[str, Any], **labels: str) -> list[str]:
    """Return the receivers of an alert, as Alertmanager goes through the routes."""
    receivers = []
    for route in found["route"]["routes"]:
        if all(labels.get(name) == value for name, value in (each.split(" = ") for each in route["matchers"])):
            receivers.append(route["receiver"])
            if not route.get("continue"):
                break
    return receivers or [found["route"]["receiver"]]


def test_without_notify_no_alert_is_sent() -> None:
    found = configuration(None)

    assert found["files"] == {"alertmanager.yml"}
    assert found["receivers"] == [{"name": "nobody"}]
    assert routed(found, alertname="ServiceDown", severity="critical") == ["nobody"]


@pytest.mark.usefixtures("secrets")
def test_alerts_go_the_ways_of_their_severity() -> None:
    found = configuration(Notify.model_validate(ALL))

    assert routed(found, alertname="ServiceDown", severity="critical") == ["email", "webhook", "chat"]
    assert routed(found, alertname="PredictionLatency", severity="warning") == ["chat"]
    assert routed(found, alertname="Other") == ["nobody"]
    for way in ("email", "webhook", "chat"):
        assert routed(found, alertname=notices.TEST_ALERT, way=way, severity="warning") == [way]
    assert routed(found, alertname=notices.TEST_ALERT, severity="critical") == ["nobody"]


@pytest.mark.usefixtures("secrets")
def test_secrets_stand_in_files_of_their_own() -> None:
    found = configuration(Notify.model_validate(ALL))

    assert found.pop("files") == {"alertmanager.yml", "email-password", "webhook-token", "chat-url"}
    assert not re.search("secret notify", json.dumps(found))
    email, webhook, chat = (
        receiver[f"{kind}_configs"][0]
        for receiver, kind in zip(found["receivers"][1:], ("email", "webhook", "slack"), strict=True)
    )
    assert email["auth_password_file"] == "$(CONFIG)/email-password"
    assert webhook["http_config"]["authorization"] == {"credentials_file": "$(CONFIG)/webhook-token"}
    assert chat["api_url_file"] == "$(CONFIG)/chat-url"
    assert (email["smarthost"], email["require_tls"]) == ("mail.example.org:587", True)
    assert email["to"] == "b@example.org, c@example.org"
    assert email["tls_config"] == {"ca_file": "/etc/ca.crt"}


@pytest.mark.parametrize(("port", "tls", "starttls"), [(465, True, False), (25, False, False), (25, True, True)])
def test_tls_is_from_the_start_on_its_port_and_asked_for_elsewhere(port: int, tls: bool, starttls: bool) -> None:
    found = configuration(Notify.model_validate({"email": {**EMAIL, "port": port, "tls": tls}}))

    assert found["receivers"][1]["email_configs"][0]["require_tls"] is starttls


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_what_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    anchor = rule["alert"].lower()
    assert rule["annotations"]["runbook_url"] == "{{ $externalURL }}/consoles/runbooks.html#" + anchor
    page = consoles.runbooks()
    assert f'<h2 id="{anchor}">{rule["alert"]}</h2>' in page
    section = page.partition(f'id="{anchor}"')[2].partition("<h2")[0]
    assert section.count("<li>") >= 2, "it says what to look at and what to do"
    assert rule["labels"]["severity"].capitalize() in section


def test_there_is_a_runbook_for_nothing_else() -> None:
    assert set(consoles.alerts()) == {rule["alert"] for rule in ALERTS} | {notices.TEST_ALERT}


def test_console_pages_hold_nothing_that_prometheus_takes_for_a_template() -> None:
    pages = {file.path: file.content for file in consoles.files()}

    assert pages.keys() == {f"consoles/{name}.html" for name in ("index", "services", "host", "runbooks")}
    assert [path for path, content in pages.items() if "{{" in str(content)] == []
    assert [
        path for path, content in pages.items() if "http:" in re.sub(r"http://www\.w3\.org", "", str(content))
    ] == []


def test_links_between_runbooks_lead_somewhere() -> None:
    page = consoles.runbooks()
    assert set(re.findall(r'href="#(.*?)"', page)) <= set(re.findall(r'id="(.*?)"', page))


def test_each_service_shows_traffic_errors_latency_and_saturation() -> None:
    rows = {row.title: row for row in dashboards.load()["services"].rows}

    for title in ("Predictions", "Features", "Database", "Pipelines", "Monitoring"):
        signals = [panel.title.partition(":")[0] for panel in rows[title].panels]
        assert signals == ["Traffic", "Errors", "Latency", "Saturation"], title


def test_a_query_is_named_in_one_way() -> None:
    with pytest.raises(ValueError, match="up needs one of `by` and `legend`"):
        Query(expr="up")


@pytest.mark.parametrize("name", dashboards.load())
def test_grafana_can_import_a_dashboard(name: str) -> None:
    board = dashboards.grafana(name)

    assert board["uid"] == f"terrace-{name}"
    assert board["schemaVersion"] >= 36
    assert board["templating"]["list"][0]["query"] == "prometheus"
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    plots = [panel for panel in board["panels"] if panel["type"] == "timeseries"]
    expressions = [
        query.expr for row in dashboards.load()[name].rows for panel in row.panels for query in panel.queries
    ]
    assert [target["expr"] for panel in plots for target in panel["targets"]] == expressions
    for panel in plots:
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert all(re.fullmatch(r"\{\{\w+\}\}|[^{}]+", target["legendFormat"]) for target in panel["targets"])
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in board["panels"]}
    assert len(places) == len(board["panels"]), "no panel lies on another"
