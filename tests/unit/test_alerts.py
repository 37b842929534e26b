"""Active alerts, acknowledgements, and the test alert, against an Alertmanager that a test plays."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from terrace.alerts import AlertsClient, select
from terrace.errors import InputError, OperationError

SILENCE = {"id": "s1", "createdBy": "ann", "endsAt": "2026-11-24T12:00:00Z", "comment": "looking"}


def alert(name: str, since: str, silenced_by: tuple[str, ...] = (), **labels: str) -> dict[str, Any]:
    return {
        "labels": {"alertname": name, "severity": "critical", **labels},
        "annotations": {"summary": f"{name} is on", "runbook_url": f"https://x/#{name.lower()}"},
        "startsAt": since,
        "status": {"state": "active", "silencedBy": list(silenced_by), "inhibitedBy": []},
    }


class Alertmanager(HTTPServer):
    """Answers as Alertmanager does, and keeps what it was sent; ``outcome`` is what becomes of a test alert."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.alerts = [alert("Late", "2026-11-24T11:00:00Z"), alert("Early", "2026-11-24T10:00:00Z", ("s1", "gone"))]
        self.posted: list[tuple[str, Any]] = []
        self.authorizations: set[str | None] = set()
        self.outcome = "delivered"
        self.requests, self.failed = 7, 3
        self.refuses = False

    def take(self, path: str, body: Any) -> Any:
        self.posted.append((path, body))
        if path == "/api/v2/alerts" and self.outcome != "lost":
            self.requests += 1
            self.failed += self.outcome == "failed"
        return {"silenceID": f"s{len(self.posted) + 1}"} if path == "/api/v2/silences" else None

    def metrics(self) -> str:
        other = 'alertmanager_notification_requests_total{integration="email"} 1e+06\n'
        total = f'alertmanager_notification_requests_total{{integration="webhook"}} {self.requests}\n'
        return (
            other + total + f'alertmanager_notification_requests_failed_total{{integration="webhook"}} {self.failed}\n'
        )


class Handler(BaseHTTPRequestHandler):
    server: Alertmanager

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        answers: dict[str, Any] = {"/api/v2/alerts": self.server.alerts, "/api/v2/silences": [SILENCE]}
        self._answer(self.server.metrics() if path == "/metrics" else json.dumps(answers[path]))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = self.server.take(self.path, body)
        self._answer("" if answer is None else json.dumps(answer))

    def _answer(self, text: str) -> None:
        self.server.authorizations.add(self.headers["Authorization"])
        self.send_response(400 if self.server.refuses else 200)
        self.end_headers()
        self.wfile.write(b"bad matcher" if self.server.refuses else text.encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def alertmanager() -> Iterator[Alertmanager]:
    server = Alertmanager()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(alertmanager: Alertmanager) -> AlertsClient:
    return AlertsClient(f"http://127.0.0.1:{alertmanager.server_port}/", "ann", "secret")


def test_active_alerts_come_with_who_has_them_in_hand(client: AlertsClient, alertmanager: Alertmanager) -> None:
    early, late = client.active()

    assert (early.name, early.severity, early.summary) == ("Early", "critical", "Early is on")
    assert early.runbook == "https://x/#early"
    assert [(one.by, one.until, one.comment) for one in early.acknowledged] == [
        ("ann", "2026-11-24T12:00:00Z", "looking")
    ]
    assert late.acknowledged == ()
    assert early.document()["acknowledged"][0]["by"] == "ann"
    assert alertmanager.authorizations == {"Basic YW5uOnNlY3JldA=="}


def test_an_acknowledgement_is_a_silence_of_just_that_alert(client: AlertsClient, alertmanager: Alertmanager) -> None:
    (made,) = client.acknowledge(select(client.active(), "Late", {}), "bob", 2.0, "on it")

    ((path, body),) = alertmanager.posted
    assert path == "/api/v2/silences"
    assert {(one["name"], one["value"]) for one in body["matchers"]} == {
        ("alertname", "Late"),
        ("severity", "critical"),
    }
    assert all(one["isEqual"] and not one["isRegex"] for one in body["matchers"])
    assert (body["createdBy"], body["comment"], made.by, made.id) == ("bob", "on it", "bob", "s2")
    assert made.until == body["endsAt"] > body["startsAt"]


def test_alerts_are_chosen_by_name_and_labels(client: AlertsClient, alertmanager: Alertmanager) -> None:
    alertmanager.alerts = [alert("Down", "2026", service=name) for name in ("mlflow", "feast")]
    found = client.active()

    assert len(select(found, "Down", {})) == 2
    assert [one.labels["service"] for one in select(found, "Down", {"service": "feast"})] == ["feast"]
    with pytest.raises(InputError, match="no active alert is called Down service=x\n  fix: active: Down"):
        select(found, "Down", {"service": "x"})
    with pytest.raises(InputError, match="none is active"):
        select([], "Down", {})


def test_a_test_alert_that_is_delivered(client: AlertsClient, alertmanager: Alertmanager) -> None:
    assert client.send_test("webhook", "local", "https://x/#testalert") < 10

    ((_, (sent,)),) = alertmanager.posted
    assert sent["labels"].items() >= {"alertname": "TestAlert", "way": "webhook", "environment": "local"}.items()
    assert sent["annotations"]["runbook_url"] == "https://x/#testalert"
    assert sent["endsAt"] > sent["startsAt"]


def test_a_test_alert_that_fails_names_the_way(client: AlertsClient, alertmanager: Alertmanager) -> None:
    alertmanager.outcome = "failed"

    with pytest.raises(OperationError, match="1 attempts failed") as caught:
        client.send_test("webhook", "local", "", seconds=0.2)
    assert caught.value.where == "notify.webhook"


def test_a_test_alert_that_never_leaves(client: AlertsClient, alertmanager: Alertmanager) -> None:
    alertmanager.outcome = "lost"

    with pytest.raises(OperationError, match="not delivered by webhook in 0 s\n  why: Alertmanager didn't try"):
        client.send_test("webhook", "local", "", seconds=0.2)


def test_a_refusal_says_why(client: AlertsClient, alertmanager: Alertmanager) -> None:
    alertmanager.refuses = True

    with pytest.raises(OperationError, match=r"Alertmanager answers 400\n  why: bad matcher"):
        client.active()


def test_an_absent_alertmanager_is_an_error_of_one_line(alertmanager: Alertmanager) -> None:
    client = AlertsClient("http://127.0.0.1:1/", "ann", "secret")

    with pytest.raises(OperationError, match="no answer") as absent:
        client.active()
    assert absent.value.where == "http://127.0.0.1:1/api/v2/silences"


def test_the_client_comes_from_the_stacks_outputs() -> None:
    with pytest.raises(InputError, match="local isn't up"):
        AlertsClient.of("local", {})
