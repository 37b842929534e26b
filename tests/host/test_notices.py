"""Alerts reach people: by mail and webhook, with what to do, until somebody has them in hand."""

from __future__ import annotations

import datetime
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from components.monitoring.parts import notices
from terrace.alerts import AlertsClient, select
from terrace.notify import Notify
from tests.host.conftest import ENVIRONMENT, HOOK_PORT, MAIL_PORT, RECEIVER_SECRETS, Platform
from tests.host.machine import open_ports, wait_for
from tests.host.receivers import Inbox, mail_server, webhook

TLS = Path(f"/var/lib/terrace/{ENVIRONMENT}/gateway/tls")


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    """The receivers that the environment's `notify` names."""
    found = Inbox()
    mail = mail_server(found, MAIL_PORT, TLS / "server.crt", TLS / "server.key", RECEIVER_SECRETS["password"])
    with mail, webhook(found, HOOK_PORT, RECEIVER_SECRETS["token"]):
        yield found


def test_a_test_alert_arrives_with_the_way_to_its_runbook(
    platform: Platform, gateway: requests.Session, inbox: Inbox
) -> None:
    delivered = platform.json("alerts", ENVIRONMENT, "--test")["delivered"]

    assert delivered.keys() == {"email", "webhook"}
    wait_for(lambda: bool(inbox.mails_with("What to do:") and inbox.alerts_with(way="webhook")), 30)
    receivers, text = inbox.mails_with(f"A test: alerts of {ENVIRONMENT} reach you by email")[-1]
    assert receivers == ("ann@example.org", "bob@example.org")
    posted = inbox.alerts_with(alertname="TestAlert", way="webhook")[-1]
    runbook = posted["annotations"]["runbook_url"]
    assert f"What to do: {runbook}" in text
    page = gateway.get(runbook, timeout=30)
    assert page.status_code == 200
    assert f'id="{runbook.partition("#")[2]}"' in page.text


def test_a_test_alert_that_nobody_takes_is_an_error(platform: Platform, outputs: dict[str, Any]) -> None:
    """Nothing listens where the receivers should be."""
    client = AlertsClient.of(ENVIRONMENT, outputs)

    with pytest.raises(Exception, match="attempts failed; the log of prometheus-alertmanager says why"):
        client.send_test("webhook", ENVIRONMENT, "", seconds=3)


def test_an_alert_is_acknowledged_by_a_person(platform: Platform, outputs: dict[str, Any]) -> None:
    drill = f"Drill{uuid.uuid4().hex[:8]}"
    client = AlertsClient.of(ENVIRONMENT, outputs)
    _post(client, drill, service="drill", severity="none")
    try:
        made = platform.json(
            "acknowledge",
            ENVIRONMENT,
            drill,
            "--by",
            "devops-engineer",
            "--for",
            "10m",
            "--comment",
            "looking",
            "-l",
            "service=drill",
        )
        wait_for(lambda: bool(select(client.active(), drill, {})[0].acknowledged), 30)
        (listed,) = [one for one in platform.json("alerts", ENVIRONMENT) if one["name"] == drill]
        (acknowledged,) = listed["acknowledged"]
        assert (acknowledged["by"], acknowledged["comment"]) == ("devops-engineer", "looking")
        assert acknowledged["until"] > listed["since"]
        assert acknowledged["id"] == made[0]["id"]
        client._ask("DELETE", f"/api/v2/silence/{made[0]['id']}")
    finally:
        _post(client, drill, over=True, service="drill", severity="none")


def test_secrets_of_receivers_stand_in_closed_files_alone() -> None:
    folder = Path(f"/etc/terrace/{ENVIRONMENT}/prometheus")
    assert (folder / "email-password").read_text() == RECEIVER_SECRETS["password"]
    assert (folder / "webhook-token").read_text() == RECEIVER_SECRETS["token"]
    others = [
        *folder.glob("*.yml"),
        *Path(f"/var/log/terrace/{ENVIRONMENT}").glob("prometheus-*"),
        folder / "environment.json",
    ]
    for file in others:
        assert not [secret for secret in RECEIVER_SECRETS.values() if secret in file.read_text(errors="replace")], file


@pytest.fixture
def quick(platform: Platform, tmp_path: Path) -> Iterator[tuple[AlertsClient, Inbox]]:
    """An Alertmanager of its own with the platform's configuration, but with seconds for its minutes and hours."""
    inbox = Inbox()
    with webhook(inbox, 0) as port:
        spec = Notify.model_validate({"webhook": {"url": f"http://127.0.0.1:{port}/"}})
        content = next(iter(notices.files(spec))).content
        assert isinstance(content, str)
        for usual, here in (("30s", "1s"), ("5m", "1s"), ("4h", "1s")):
            assert f": {usual}\n" in content
            content = content.replace(f": {usual}\n", f": {here}\n")
        file = tmp_path / "alertmanager.yml"
        file.write_text(content)
        own = port + 1 if port + 1 not in open_ports() else port + 2
        options = [f"--config.file={file}", f"--storage.path={tmp_path}/data", "--cluster.listen-address="]
        command = ["/usr/bin/prometheus-alertmanager", *options, f"--web.listen-address=127.0.0.1:{own}"]
        with (tmp_path / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
            try:
                wait_for(lambda: own in open_ports(), 60)
                yield AlertsClient(f"http://127.0.0.1:{own}/", "nobody", "nothing"), inbox
            finally:
                process.terminate()


def test_an_acknowledged_alert_is_not_delivered_again(quick: tuple[AlertsClient, Inbox]) -> None:
    client, inbox = quick
    for service in ("mine", "control"):
        _post(client, "Drill", service=service, severity="critical")
    wait_for(lambda: len(inbox.alerts_with(service="mine")) >= 2 and bool(inbox.alerts_with(service="control")), 60)

    client.acknowledge(select(client.active(), "Drill", {"service": "mine"}), "ann", 1.0, "looking")
    wait_for(lambda: bool(select(client.active(), "Drill", {"service": "mine"})[0].acknowledged), 30)
    before = len(inbox.alerts_with(service="control"))
    wait_for(lambda: len(inbox.alerts_with(service="control")) >= before + 1, 60)  # what was under way has arrived
    delivered, control = len(inbox.alerts_with(service="mine")), len(inbox.alerts_with(service="control"))
    wait_for(lambda: len(inbox.alerts_with(service="control")) >= control + 3, 60)

    assert len(inbox.alerts_with(service="mine")) == delivered


def _post(client: AlertsClient, name: str, over: bool = False, **labels: str) -> None:
    now = datetime.datetime.now(datetime.UTC)
    ends = now if over else now + datetime.timedelta(minutes=5)
    alert = {
        "labels": {"alertname": name, **labels},
        "annotations": {"summary": "a drill", "runbook_url": "https://example.org"},
        "startsAt": (now - datetime.timedelta(minutes=1)).isoformat(),
        "endsAt": ends.isoformat(),
    }
    client._ask("POST", "/api/v2/alerts", [alert])
