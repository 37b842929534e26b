"""Active alerts, who has taken them on, and whether a test alert arrives, by Alertmanager's API.

client = AlertsClient(url, user, password, ca_file)
client.acknowledge(client.active(), by="ann", hours=2.0, comment="looking")
"""

from __future__ import annotations

import datetime
import http.client
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.monitoring.parts.notices import TEST_ALERT
from terrace.errors import InputError, OperationError
from terrace.notify import Way
from terrace.web import Answer, Client

POLL_SECONDS = 0.3
# What Alertmanager's metrics call the ways.
INTEGRATIONS: Mapping[Way, str] = {"email": "email", "webhook": "webhook", "chat": "slack"}
_METRIC = re.compile(r'^alertmanager_notification_requests(_failed)?_total\{integration="(\w+)"\} (\S+)$', re.MULTILINE)


@dataclass(frozen=True)
class Acknowledgement:
    """That a person has an alert in hand, and until when others are not told of it again."""

    id: str
    by: str
    until: str
    comment: str


@dataclass(frozen=True)
class Alert:
    """An alert that is active.

    Attributes:
        name: The rule's name.
        severity: ``critical`` or ``warning``.
        summary: What is wrong, in one sentence.
        since: When it began, ISO 8601.
        runbook: Where it is written what to do.
        labels: All of its labels.
        acknowledged: Who has it in hand.
    """

    name: str
    severity: str
    summary: str
    since: str
    runbook: str
    labels: Mapping[str, str]
    acknowledged: tuple[Acknowledgement, ...]

    def document(self) -> dict[str, Any]:
        """Return the alert as JSON data."""
        return asdict(self)


class AlertsClient:
    """Alertmanager, over HTTP.

    Args:
        base_url: Its address, with a slash at the end.
        user: The gateway account's name.
        password: The gateway account's password.
        ca_file: The certificate of the environment's own CA.
    """

    def __init__(self, base_url: str, user: str, password: str, ca_file: Path | None = None) -> None:
        self._client = Client(base_url, user, password, ca_file)

    @classmethod
    def of(cls, env: str, outputs: Mapping[str, Any]) -> AlertsClient:
        """Return the client of an environment, from its stack outputs with the secrets among them.

        Raises:
            InputError: It isn't up.
        """
        connection, address = outputs.get("connection") or {}, (outputs.get("endpoints") or {}).get("alerts")
        if not address:
            raise InputError(f"{env} isn't up", fix=f"bring it up with: terrace up {env}")
        return cls(
            address,
            connection["TERRACE_GATEWAY_USER"],
            connection["TERRACE_GATEWAY_PASSWORD"],
            Path(connection["TERRACE_CA_FILE"]),
        )

    def active(self) -> list[Alert]:
        """Return the active alerts, the oldest first."""
        silences = {
            one["id"]: Acknowledgement(one["id"], one["createdBy"], one["endsAt"], one["comment"])
            for one in self._ask("GET", "/api/v2/silences").json()
        }
        found = self._ask("GET", "/api/v2/alerts?active=true&silenced=true&inhibited=true").json()
        return sorted((_alert(one, silences) for one in found), key=lambda alert: alert.since)

    def acknowledge(self, alerts: Sequence[Alert], by: str, hours: float, comment: str) -> list[Acknowledgement]:
        """Have nobody told of ``alerts`` again for ``hours``: a silence for each, with the labels that it has now."""
        now = datetime.datetime.now(datetime.UTC)
        until = (now + datetime.timedelta(hours=hours)).isoformat()
        made = []
        for alert in alerts:
            matchers = [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in sorted(alert.labels.items())
            ]
            body = {
                "matchers": matchers,
                "startsAt": now.isoformat(),
                "endsAt": until,
                "createdBy": by,
                "comment": comment,
            }
            answer = self._ask("POST", "/api/v2/silences", body).json()
            made.append(Acknowledgement(answer["silenceID"], by, until, comment))
        return made

    def send_test(self, way: Way, env: str, runbook: str, seconds: float = 30.0) -> float:
        """Send a test alert by ``way``, and wait until Alertmanager has delivered it; return how long that took (s).

        Alertmanager counts by way and not by alert: another alert that is sent at the same time counts as well.

        Raises:
            OperationError: It was refused, or not delivered in ``seconds``.
        """
        begun = time.monotonic()
        before = self._sent(way)
        self._ask("POST", "/api/v2/alerts", [_test_alert(way, env, runbook)])
        failed = 0.0
        while time.monotonic() - begun < seconds:
            delivered, failed = (now - then for now, then in zip(self._sent(way), before, strict=True))
            if delivered >= 1:
                return time.monotonic() - begun
            time.sleep(POLL_SECONDS)
        what = f"the test alert was not delivered by {way} in {seconds:.0f} s"
        if failed:
            why = f"{failed:.0f} attempts failed; the log of prometheus-alertmanager says why"
            raise OperationError(what, where=f"notify.{way}", why=why, fix=f"correct it, and run `terrace up {env}`")
        why = "Alertmanager didn't try: it doesn't know this way, or a silence is on the test alert"
        raise OperationError(what, where=f"notify.{way}", why=why, fix=f"run `terrace up {env}`")

    def _sent(self, way: Way) -> tuple[float, float]:
        """Return how many messages went out by ``way`` since Alertmanager's start, and how many attempts failed."""
        metrics = self._ask("GET", "/metrics").text
        counts = {failed: float(n) for failed, name, n in _METRIC.findall(metrics) if name == INTEGRATIONS[way]}
        failed = counts.get("_failed", 0.0)
        return counts.get("", 0.0) - failed, failed

    def _ask(self, method: str, path: str, body: Any = None) -> Answer:
        answer = self._client.request(method, path, body)
        if answer.status >= http.client.BAD_REQUEST:
            why = answer.text.strip() or answer.reason
            raise OperationError(f"Alertmanager answers {answer.status}", where=answer.url, why=why)
        return answer


def select(alerts: Sequence[Alert], name: str, labels: Mapping[str, str]) -> list[Alert]:
    """Return the alerts called ``name`` that have ``labels``.

    Raises:
        InputError: There are none.
    """
    found = [one for one in alerts if one.name == name and labels.items() <= one.labels.items()]
    if not found:
        there = ", ".join(sorted({one.name for one in alerts}))
        with_labels = "".join(f" {key}={value}" for key, value in labels.items())
        raise InputError(
            f"no active alert is called {name}{with_labels}", fix=f"active: {there}" if there else "none is active"
        )
    return found


def _alert(found: Mapping[str, Any], silences: Mapping[str, Acknowledgement]) -> Alert:
    labels, annotations = found["labels"], found["annotations"]
    return Alert(
        labels["alertname"],
        labels.get("severity", ""),
        annotations.get("summary", ""),
        found["startsAt"],
        annotations.get("runbook_url", ""),
        labels,
        tuple(silences[each] for each in found["status"]["silencedBy"] if each in silences),
    )


def _test_alert(way: Way, env: str, runbook: str) -> dict[str, Any]:
    """Return an alert that no other is like, so that it is sent at once, and that ends by itself."""
    now = datetime.datetime.now(datetime.UTC)
    labels = {
        "alertname": TEST_ALERT,
        "severity": "warning",
        "environment": env,
        "way": way,
        "test": secrets.token_hex(4),
    }
    annotations = {
        "summary": f"A test: alerts of {env} reach you by {way}",
        "description": "Nothing is wrong. Somebody has tried whether alerts arrive.",
        "runbook_url": runbook,
    }
    ends = now + datetime.timedelta(minutes=1)
    return {
        "labels": labels,
        "annotations": annotations,
        "startsAt": now.isoformat(),
        "endsAt": ends.isoformat(),
    }
