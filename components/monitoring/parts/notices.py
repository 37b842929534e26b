"""Alertmanager's configuration: whom it tells of alerts, what, and by which way.

What is secret goes into files of its own, so that neither Alertmanager's page nor its log shows it. Alertmanager 0.25,
as Debian 12 has it, shows a webhook's address on both, which is why only a chat's may be a secret as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator

from components.templates import render
from terrace.notify import SEVERITIES, Notify
from terrace.targets.given import secret_of_spec
from terrace.workload import File

TEST_ALERT = "TestAlert"  # what `terrace alerts --test` sends

# Go templates over Alertmanager's data: https://prometheus.io/docs/alerting/latest/notifications/
_SUBJECT = (
    '{{ if eq .Status "resolved" }}over: {{ end }}{{ .CommonLabels.severity }}: {{ .CommonLabels.alertname }}'
    "{{ with .CommonLabels.service }} of {{ . }}{{ end }}"
    "{{ with .CommonLabels.environment }} in {{ . }}{{ end }}"
)
_LINK = "{{ (index .Alerts 0).Annotations.runbook_url }}"
_TEXT = """\
{{ range .Alerts }}{{ if eq .Status "resolved" }}Over: {{ end }}{{ .Annotations.summary }}
{{ .Annotations.description }}

What to do: {{ .Annotations.runbook_url }}
Since: {{ .StartsAt.Format "2006-01-02 15:04:05 MST" }}
{{ range .Labels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}

{{ end }}All alerts: {{ .ExternalURL }}
"""


def files(notify: Notify | None) -> Iterator[File]:
    """Yield Alertmanager's configuration and the files of the secrets that it names."""
    notify = notify or Notify.model_construct()
    routes = [(f"severity = {severity}", notify.route(severity)) for severity in SEVERITIES]
    content = render(
        "monitoring",
        "alertmanager.yml",
        notify=notify,
        routes=routes,
        test_alert=TEST_ALERT,
        subject=_SUBJECT,
        link=_LINK,
        text=_TEXT,
    )
    yield File("alertmanager.yml", content)
    if notify.email and notify.email.password:
        yield File("email-password", secret_of_spec("notify", "email", "password"))
    if notify.webhook and notify.webhook.token:
        yield File("webhook-token", secret_of_spec("notify", "webhook", "token"))
    if notify.chat:
        yield File("chat-url", secret_of_spec("notify", "chat", "url"))
