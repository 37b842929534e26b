"""What commands do reaches the audit log once; the log is verified here, and against what was seen before."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import typer

from components.audit.programs.audit_log.store import Store
from terrace import audit as library
from terrace.audit import Anchors, AuditLog, Journal
from terrace.cli import audit as command
from terrace.cli import operations
from terrace.cli.audited import audited
from terrace.errors import InputError, OperationError
from terrace.web import Answer
from tests.components.audit_world import DAY, KEY, edit, event
from tests.unit.played import Recorded, result, run

PASSWORD = "pa55word-of-the-platform"
OUTPUTS = {
    "endpoints": {"audit": "https://localhost:8443/audit/"},
    "connection": {"TERRACE_GATEWAY_USER": "terrace", "TERRACE_GATEWAY_PASSWORD": PASSWORD},
    "credentials": {"audit": {"user": "seal", "password": KEY.decode()}, "gateway": {"password": PASSWORD}},
    "people": {"ann": "pa55word-of-ann"},
}


class Service:
    """The audit log behind the gateway, on a real log in a folder."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder, KEY)
        self.posted: list[dict[str, Any]] = []
        self.status = 200

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        url = urlsplit(path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if self.status != 200:
            return Answer(path, self.status, "", b"away")
        if method == "POST":
            self.posted += body["events"]
            return Answer(path, 200, "", b"{}")
        if url.path == "/log":
            return Answer(path, 200, "", json.dumps(self.store.page(query.get("cursor", ""), 4)).encode())
        since, actor, action = (query.get(name, "") for name in ("since", "actor", "action"))
        found = self.store.find(since, actor, action, int(query["limit"]))
        return Answer(path, 200, "", json.dumps({"records": found}).encode())


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """An audit log of ten records, which whoever asks for a client gets."""
    (tmp_path / "log").mkdir()
    made = Service(tmp_path / "log")
    made.store.append("gateway", [event(number) for number in range(10)], DAY)
    monkeypatch.setattr(library, "Client", lambda *_arguments: made)
    yield made
    made.store.close()


@pytest.fixture
def log(service: Service) -> AuditLog:
    """Its client."""
    found = AuditLog.of(OUTPUTS)
    assert found is not None
    return found


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """What waits to be sent."""
    return Journal(tmp_path / "journal")


@pytest.fixture
def anchors(tmp_path: Path) -> Path:
    """Where anchors stand."""
    return tmp_path / "state" / "anchors.json"


def test_what_a_command_did_is_one_record(journal: Journal, service: Service, log: AuditLog) -> None:
    begun = journal.begin("up", "ann", "platform")
    assert [json.loads(path.read_text())["outcome"] for path in journal.waiting()] == ["begun"]
    journal.end(begun, "ok", "3 created")
    journal.send(log)
    (sent,) = service.posted
    assert (sent["action"], sent["outcome"], sent["detail"], sent["at"]) == ("up", "ok", "3 created", begun.at)
    assert journal.waiting() == []


def test_what_was_sent_before_it_was_done_ends_as_a_record_of_its_own(
    journal: Journal, service: Service, log: AuditLog
) -> None:
    begun = journal.begin("destroy", "ann", "platform")
    journal.send(log)
    journal.end(begun, "failed")
    journal.send(log)
    assert [each["outcome"] for each in service.posted] == ["begun", "failed"]
    assert len({each["id"] for each in service.posted}) == 2


def test_what_nobody_takes_waits_in_its_order(journal: Journal, service: Service, log: AuditLog) -> None:
    service.status = 502
    for action in ("up", "promote", "rollback"):
        journal.end(journal.begin(action, "ann", "x"), "ok")
        with pytest.raises(OperationError, match="takes no events"):
            journal.send(log)
    service.status = 200
    journal.send(log)
    assert [each["action"] for each in service.posted] == ["up", "promote", "rollback"]


def test_what_is_noted_is_for_its_owner_alone(journal: Journal) -> None:
    journal.begin("up", "ann", "platform")
    (path,) = journal.waiting()
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_what_can_not_be_noted_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OperationError, match="can't be noted"):
        Journal(tmp_path / "file" / "journal").begin("up", "ann", "platform")


def test_no_password_is_sent(journal: Journal, service: Service, log: AuditLog) -> None:
    for about in (f"model {PASSWORD}", "model pa55word-of-ann"):
        journal.end(journal.begin("promote", "ann", about), "ok", f"of {PASSWORD}")
    journal.send(log)
    assert [each["object"] for each in service.posted] == ["model [secret]", "model [secret]"]
    assert {each["detail"] for each in service.posted} == {"of [secret]"}


def test_a_platform_without_the_log_is_said_to_have_none() -> None:
    with pytest.raises(InputError, match="isn't up"):
        AuditLog.require("local", {})
    with pytest.raises(InputError, match="has no audit log"):
        AuditLog.require("local", {**OUTPUTS, "endpoints": {"gateway": "https://localhost:8443/"}})


@pytest.mark.usefixtures("service")
def test_a_whole_log_is_in_order_and_its_end_is_noted(log: AuditLog, anchors: Path) -> None:
    found = log.verify(Anchors(anchors))
    assert (found.sequence, found.problems) == (10, ())
    (noted,) = json.loads(anchors.read_text())
    assert (noted["sequence"], noted["chain"]) == (10, found.chain)


def test_a_changed_record_is_named_and_no_end_is_noted(
    service: Service, log: AuditLog, anchors: Path, tmp_path: Path
) -> None:
    edit(tmp_path / "log", lambda lines: [*lines[:6], lines[6].replace("ann", "bob"), *lines[7:]])
    assert log.verify(Anchors(anchors)).problems == ("record 7 was changed: it doesn't have its seal",)
    assert not anchors.exists()
    assert service.store.head.sequence == 10


def test_a_log_that_was_set_back_with_its_head_shows_by_what_was_seen(
    service: Service, log: AuditLog, anchors: Path, tmp_path: Path
) -> None:
    head = (tmp_path / "log" / "head.json").read_bytes()
    service.store.append("gateway", [event(11), event(12)], DAY)
    log.verify(Anchors(anchors))
    edit(tmp_path / "log", lambda lines: lines[:10])
    (tmp_path / "log" / "head.json").write_bytes(head)
    assert log.verify(Anchors(anchors)).problems == ("records 11 to 12 are missing at the end",)


def test_another_log_in_its_place_shows_until_it_is_forgotten(log: AuditLog, anchors: Path) -> None:
    anchors.parent.mkdir()
    anchors.write_text(json.dumps([{"chain": "earlier", "sequence": 99, "seal": "0", "at": "2026-01-01T00:00:00"}]))
    (said,) = log.verify(Anchors(anchors)).problems
    assert "another log than the one that was verified at 2026-01-01T00:00:00 and had 99 records" in said
    Anchors(anchors).forget()
    assert log.verify(Anchors(anchors)).problems == ()


def test_retention_while_it_is_verified_is_no_tampering(
    service: Service, log: AuditLog, anchors: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.store.append("gateway", [event(number) for number in range(10, 20)], DAY + timedelta(days=1))
    page = service.store.page

    def meanwhile(cursor: str, most: int) -> Any:
        if cursor:
            service.store.retain(1, DAY + timedelta(days=2, hours=-12))
        return page(cursor, most)

    monkeypatch.setattr(service.store, "page", meanwhile)
    found = log.verify(Anchors(anchors))
    assert (found.sequence, found.problems) == (21, ())


def test_a_log_that_can_not_be_read_is_not_in_order(service: Service, log: AuditLog, anchors: Path) -> None:
    service.status = 403
    with pytest.raises(OperationError, match="can't be read"):
        log.verify(Anchors(anchors))


@pytest.fixture
def session(play: Any, service: Service, tmp_path: Path) -> Any:
    """A session on a platform with the log; ``service`` stands behind it."""
    assert service.status == 200
    return play(Recorded(result(), shown=OUTPUTS))


def outcomes(service: Service) -> list[tuple[str, str]]:
    return [(each["action"], each["outcome"]) for each in service.posted]


@pytest.mark.usefixtures("session")
def test_operations_are_recorded(service: Service) -> None:
    for words in (("up", "--yes"), ("refresh",), ("destroy", "--yes"), ("output", "--show-secrets")):
        assert run(*words).exit_code == 0
    assert run("output").exit_code == 0, "shows no secret, and is not recorded"
    assert outcomes(service) == [
        ("up", "ok"),
        ("refresh", "ok"),
        ("destroy", "begun"),
        ("destroy", "ok"),
        ("show_secrets", "ok"),
    ]


@pytest.mark.usefixtures("session", "service")
def test_what_was_seen_of_a_log_goes_with_its_platform() -> None:
    opened = operations.open_session("local", None)
    assert run("audit", "--verify").exit_code == 0
    chain = json.loads(run("audit", "--verify", "--json").stdout)["chain"]
    assert run("destroy", "--yes", "--target", "tracking").exit_code == 2, "nothing is called so"
    assert Anchors.of(opened.project, "local").of_chain(chain)
    assert run("destroy", "--yes").exit_code == 0
    assert Anchors.of(opened.project, "local").of_chain(chain) == {}


def test_a_failed_operation_is_recorded_as_failed(session: Recorded, service: Service) -> None:
    session.result = result(ok=False)
    assert run("up", "--yes").exit_code == 1
    session.raises = KeyboardInterrupt()
    run("up", "--yes")
    assert outcomes(service) == [("up", "failed"), ("up", "failed")]


@pytest.mark.usefixtures("session")
def test_an_end_that_is_no_failure_is_none(service: Service) -> None:
    opened = operations.open_session("local", None)
    for code in (0, 1):
        with pytest.raises(typer.Exit), audited(opened, "up", "platform"):
            raise typer.Exit(code)
    assert outcomes(service) == [("up", "ok"), ("up", "failed")]


@pytest.mark.usefixtures("session")
def test_a_command_works_while_the_log_is_down_and_the_next_one_tells(service: Service) -> None:
    service.status = 502
    assert run("up", "--yes").exit_code == 0
    assert run("audit").exit_code == 1
    service.status = 200
    assert run("audit").exit_code == 0
    assert outcomes(service) == [("up", "ok")]


def test_nothing_is_kept_for_a_platform_without_the_log(session: Recorded) -> None:
    session.shown = {"endpoints": {"gateway": "https://localhost:8443/"}}
    assert run("up", "--yes").exit_code == 0
    opened = operations.open_session("local", None)
    assert Journal.of(opened.project, "local").waiting() == []


@pytest.mark.usefixtures("session", "service")
def test_records_are_shown() -> None:
    shown = run("audit", "local", "--limit", "2").stdout.splitlines()
    assert len(shown) == 2
    assert shown[-1] == "2026-03-01T12:00:00  ann                ok       predict serving: flights"
    assert len(json.loads(run("audit", "--json", "--action", "predict").stdout)) == 10
    assert json.loads(run("audit", "--json", "--since", "1h").stdout) == []


@pytest.mark.usefixtures("session")
def test_verifying_fails_where_something_was_done_to_it(service: Service, tmp_path: Path) -> None:
    shown = run("audit", "--verify")
    assert (shown.exit_code, shown.stdout) == (0, "local: all is in order, up to record 10\n")
    edit(tmp_path / "log", lambda lines: lines[1:])
    assert service.store.head.sequence == 10
    shown = run("audit", "--verify")
    assert (shown.exit_code, shown.stdout) == (1, "record 1 is missing before record 2\n")
    assert json.loads(run("audit", "--verify", "--json").stdout)["problems"] == ["record 1 is missing before record 2"]


@pytest.mark.parametrize("given", ["yesterday", "5x", "2026-1-1"])
def test_a_time_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="is no time"):
        command._since(given)
