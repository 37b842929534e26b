"""`terrace alerts`, `acknowledge`, and `encrypt`, over a stack and an Alertmanager that a test plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from terrace import alerts
from terrace.alerts import Acknowledgement, Alert, AlertsClient
from terrace.cli import application, operations
from terrace.engine.passphrase import find_passphrase
from terrace.engine.secrets import Crypter
from terrace.engine.stackfile import StackFile

PEOPLE = "  terrace:platform: {team: {people: {ann: {}, bob: {}}}, notify: {webhook: {url: https://x}}}\n"
TAKEN = Acknowledgement("s1", "ann", "2026-11-24T12:00:00Z", "looking")
LABELS = {"alertname": "ServiceDown", "service": "mlflow"}
DOWN = Alert("ServiceDown", "critical", "mlflow does not answer", "2026", "https://x/#servicedown", LABELS, (TAKEN,))


class Played(AlertsClient):
    """Alertmanager as it is said to be."""

    acknowledged: list[tuple[list[Alert], str, float, str]] = []  # noqa: RUF012
    there: list[Alert] = [DOWN]  # noqa: RUF012

    def active(self) -> list[Alert]:
        return self.there

    def acknowledge(self, *given: Any, **named: Any) -> list[Acknowledgement]:
        self.acknowledged.append(given)  # type: ignore[arg-type]
        return [TAKEN]

    def send_test(self, way: str, env: str, runbook: str, seconds: float = 30.0) -> float:
        assert (way, env, runbook) == ("webhook", "local", "https://g/prometheus/consoles/runbooks.html#testalert")
        return 0.3


class Stack:
    """A stack with nothing but outputs."""

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        assert show_secrets
        return {"endpoints": {"alerts": "https://g/alertmanager/", "metrics": "https://g/prometheus/"}}


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: terrace\nruntime: python\nmain: stacks\nstackConfigDir: stacks\n")
    (tmp_path / "stacks").mkdir()
    file = tmp_path / "stacks" / "Pulumi.local.yaml"
    file.write_text("config:\n  terrace:tier: 3\n  terrace:target: host\n" + PEOPLE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "open")
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    monkeypatch.setattr(operations, "_stack", lambda *_: Stack())
    monkeypatch.setattr(alerts.AlertsClient, "of", lambda *_: Played("https://g/", "a", "b"))
    Played.acknowledged = []
    return file


def run(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(application(), arguments, input=given)


def test_active_alerts_are_listed_with_who_has_them_in_hand() -> None:
    shown = run("alerts", "local").output

    assert "critical  ServiceDown  mlflow does not answer" in shown
    assert "what to do: https://x/#servicedown" in shown
    assert "in the hands of ann until 2026-11-24T12:00:00Z: looking" in shown
    assert json.loads(run("alerts", "--json").output)[0]["acknowledged"][0]["by"] == "ann"


def test_without_alerts_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Played, "there", [])

    assert run("alerts", "local").output == "local: no alert is active\n"


def test_a_test_alert_goes_every_way(project: Path) -> None:
    assert run("alerts", "--test").output == "webhook: delivered in 0.3 s\n"
    assert json.loads(run("alerts", "--test", "--json").output)["delivered"] == {"webhook": 0.3}

    project.write_text(project.read_text().partition("  terrace:platform")[0])
    refused = run("alerts", "--test")
    assert (refused.exit_code, "local has nobody to tell" in refused.output) == (2, True)


def test_an_alert_is_acknowledged_for_a_while() -> None:
    shown = run("acknowledge", "local", "ServiceDown", "--by", "ann", "--comment", "looking", "--for", "30m")

    assert shown.output.startswith("ann has ServiceDown in hand until 2026-11-24T12:00:00Z")
    assert Played.acknowledged == [([DOWN], "ann", 0.5, "looking")]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--by", "anne"], "--by 'anne' is not in team.people; did you mean 'ann'?"),
        (["--by", "ann", "--for", "soon"], "--for 'soon' is no time"),
        (["--by", "ann", "--for", "8d"], "--for '8d' is no time"),
        (["--by", "ann", "--label", "mlflow"], "--label 'mlflow' is no label"),
        (["--by", "ann", "--label", "service=feast"], "no active alert is called ServiceDown service=feast"),
    ],
)
def test_a_wrong_acknowledgement_is_refused(options: list[str], says: str) -> None:
    refused = run("acknowledge", "local", "ServiceDown", "--comment", "looking", *options)

    assert (refused.exit_code, says in refused.output) == (2, True), refused.output
    assert Played.acknowledged == []


def test_a_secret_is_encrypted_for_the_stack_file(project: Path) -> None:
    shown = run("encrypt", "local", given="hunter2\n").output.strip()

    assert shown.startswith("{secure: v1:")
    passphrase = find_passphrase("terrace", "local").value
    crypter = Crypter(StackFile.load(project, "terrace").salt, lambda: passphrase, str(project))
    assert crypter.decrypt(shown.removeprefix("{secure: ").removesuffix("}")) == "hunter2"
    assert "hunter2" not in project.read_text()


def test_nothing_is_no_secret_and_an_unknown_environment_has_none() -> None:
    assert run("encrypt", "local", given="\n").exit_code == 2
    assert "there is no environment 'moon'" in run("encrypt", "moon", given="x").output
