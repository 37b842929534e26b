"""The audit log's service: who may send, who may read, what it says of itself; and that a kill loses nothing."""

from __future__ import annotations

import http.client
import json
import os
import pwd
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.audit.programs.audit_log import server as program
from components.audit.programs.audit_log import watch as watching
from components.audit.programs.audit_log.chain import key_name
from components.audit.programs.audit_log.folders import open_chain
from components.audit.programs.audit_log.peers import user_of
from components.audit.programs.audit_log.server import Server
from components.audit.programs.audit_log.settings import HOST_HEADER, SOURCE_HEADER, Settings
from components.audit.programs.audit_log.watch import Watch
from tests.components.audit_world import KEY, edit, event, segment

PROGRAMS = Path(program.__file__).parents[1]


def settings(folder: Path, port: int = 0) -> Settings:
    return Settings("test", folder, KEY, port, ("gateway", "mlserver"), 365, 3600)


class Running:
    """The service in this process; ``sender`` is who the kernel is said to know at the other end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sender: str | None = "gateway"
        monkeypatch.setattr(Settings, "source", lambda *_about: self.sender)
        self.store = open_chain(folder, KEY)
        self.watch = Watch(settings(folder), self.store)
        self.server = Server(settings(folder), self.store, self.watch)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def send(self, *numbers: int, **headers: str) -> tuple[int, str]:
        return self.ask("POST", "/events", {"events": [vars(event(number)) for number in numbers]}, **headers)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.store.close()


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """The service, with a log that is empty."""
    service = Running(tmp_path, monkeypatch)
    yield service
    service.stop()


def test_what_is_sent_is_written_down_with_who_sent_it(running: Running) -> None:
    assert json.loads(running.send(1, 2)[1]) == {"recorded": 2, "sequence": 3}
    assert json.loads(running.send(2, 3)[1]) == {"recorded": 1, "sequence": 4}
    assert running.send(4, **{"X-Forwarded-For": "127.0.0.1"})[0] == 200
    running.sender = "root"
    assert running.send(5)[0] == 200

    found = json.loads(running.ask("GET", "/records")[1])["records"]
    assert [one["source"] for one in found] == ["audit", "gateway", "gateway", "gateway", "operator", "root"]


def test_who_is_no_service_sends_and_reads_nothing(running: Running) -> None:
    running.sender = None
    assert running.send(1)[0] == 403
    for path in ("/", "/records", "/log"):
        assert running.ask("GET", path)[0] == 403
    running.sender = "mlserver"
    assert running.send(1)[0] == 200
    assert running.ask("GET", "/records")[0] == 403, "a service that sends may not read"
    assert running.ask("GET", "/health")[0] == 200


@pytest.mark.parametrize(
    "body", [None, [], {}, {"events": 5}, {"events": [{}]}, {"events": [{**vars(event(1)), "outcome": "x"}]}]
)
def test_what_is_wrong_is_refused_whole(running: Running, body: Any) -> None:
    assert running.ask("POST", "/events", body)[0] == 400
    assert running.store.head.sequence == 1, "the chain's begin"
    assert running.ask("POST", "/other", body)[0] == 404


def test_a_log_that_can_not_be_written_says_so_until_it_can(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(running.store, "append", full)
        assert running.send(1) == (503, '{"error": "No space left on device"}')
    assert running.ask("GET", "/health")[0] == 503
    assert "terrace_audit_writable 0.0" in running.ask("GET", "/metrics")[1]
    assert running.send(1)[0] == 200
    assert running.ask("GET", "/health")[0] == 200


def test_it_is_read_by_what_one_looks_for_in_pages_and_as_a_page(running: Running) -> None:
    running.send(1, 2)
    assert len(json.loads(running.ask("GET", "/records?actor=ann&limit=1")[1])["records"]) == 1
    assert json.loads(running.ask("GET", "/records?actor=bob")[1])["records"] == []
    assert running.ask("GET", "/records?limit=x")[0] == 400
    page = json.loads(running.ask("GET", "/log")[1])
    assert (len(page["lines"]), page["next"], page["head"]["sequence"]) == (3, "", 3)
    assert running.ask("GET", "/log?cursor=x")[0] == 400
    assert running.ask("GET", "/else")[0] == 404
    assert "<td>serving: flights</td>" in running.ask("GET", "/")[1]


def test_markup_in_a_record_is_shown_and_not_run() -> None:
    assert "&lt;script&gt;" in program.page("test", [{"object": "<script>"}])


def test_tampering_shows_at_the_next_look_and_what_is_due_is_verified(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "terrace_audit_verified " not in running.watch.page(), "nobody knows yet"
    running.send(1, 2)
    running.watch.look()
    assert "terrace_audit_verified 1.0" in running.watch.page()
    assert f'terrace_audit_sequence{{key="{key_name(KEY)}"}} 3' in running.watch.page()

    edit(running.store.folder, lambda lines: [line.replace("ann", "bob") for line in lines])
    running.watch.look()
    assert "terrace_audit_verified 0.0" in running.watch.page()

    monkeypatch.setattr(running.store, "verify", list)
    running.watch.look()
    assert "terrace_audit_verified 0.0" in running.watch.page(), "nothing is due"
    monkeypatch.setattr(watching.time, "time", lambda: 4e9)
    running.watch.look()
    assert "terrace_audit_verified 1.0" in running.watch.page()
    monkeypatch.setattr(running.store, "verify", lambda: ["something"])
    monkeypatch.setattr(watching.time, "time", lambda: 3e9)
    running.watch.look()
    assert "terrace_audit_verified 0.0" in running.watch.page(), "nobody knows for how long the clock was ahead"


def test_files_that_are_gone_end_no_watching(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    running.send(1, 2)

    def gone() -> list[str]:
        raise FileNotFoundError(2, "No such file", "2026-03-01.jsonl")

    with monkeypatch.context() as patch:
        patch.setattr(running.store, "verify", gone)
        running.watch.look()
    assert "terrace_audit_verified 0.0" in running.watch.page()
    for segment_file in running.store.folder.glob("*.jsonl"):
        segment_file.unlink()
    running.watch.look()
    assert "terrace_audit_verified 0.0" in running.watch.page()


def test_a_source_that_says_nothing_shows(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching.time, "time", lambda: 5e9)
    running.ask("POST", "/events", {"events": []})
    assert 'source_seen_timestamp_seconds{source="gateway"} 5000000000.0' in running.watch.page()


def test_the_kernel_knows_who_is_at_the_other_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        connection, peer = server.accept()
        with connection:
            assert user_of(peer, connection.getsockname()) == os.getuid()
            assert user_of((peer[0], 1), connection.getsockname()) is None


def test_a_socket_that_nobody_holds_any_more_is_nobodys(tmp_path: Path) -> None:
    line = "   0: 0100007F:A000 0100007F:4708 {} 00000000:00000000 00:00000000 00000000 1000 0 1 1\n"
    table = tmp_path / "tcp"
    for state, user in (("01", 1000), ("06", None), ("04", None)):
        table.write_text("sl local_address\n" + line.format(state))
        assert user_of(("127.0.0.1", 0xA000), ("127.0.0.1", 0x4708), table) == user


def test_sources_are_the_services_that_were_told_to_and_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = (
        "other-gateway",
        "test-eu-gateway",
        "test-eu-link",
        "test-gateway-x",
        "test-workbench-ann",
        "test-airflow",
    )
    names = {5: "terrace-test-gateway", 7: "ann", **{10 + n: f"terrace-{name}" for n, name in enumerate(others)}}

    def named(uid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((names[uid], "x", uid, uid, "", "/", "/"))

    monkeypatch.setattr(pwd, "getpwuid", named)
    own = {SOURCE_HEADER: "gateway", HOST_HEADER: "front"}
    found = [settings(tmp_path).source(uid, own) for uid in (0, 5)]
    assert found == ["root", "gateway"], "who is on this host is who the kernel says"
    assert {settings(tmp_path).source(uid, own) for uid in (*names.keys() - {5}, 8, None)} == {None}


def test_a_host_speaks_for_its_own_services_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = pwd.struct_passwd(("terrace-test-link", "x", 5, 5, "", "/", "/"))
    monkeypatch.setattr(pwd, "getpwuid", lambda _uid: link)
    told = replace(settings(tmp_path), gateway_host="front")

    def source(service: str, host: str) -> str | None:
        return told.source(5, {SOURCE_HEADER: service, HOST_HEADER: host})

    assert source("gateway", "front") == "gateway"
    assert source("gateway", "eyes") == "gateway@eyes", "it isn't there, so nobody reads by that name"
    assert source("root", "front") == "root@front"
    assert source("mlserver", "front") == "mlserver@front"
    assert (source("", "front"), source("mlserver", ""), told.source(5, {})) == (None, None, None)
    assert {source(other, "front") for other in ("workbench-ann", "eu-gateway", "link")} == {None}


def test_what_was_acknowledged_outlives_kills(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    acknowledged: list[str] = []
    for life in range(4):
        process = start(tmp_path, port)
        try:
            threading.Timer(0.25, process.send_signal, (signal.SIGKILL,)).start()
            acknowledged += send_until_it_ends(port, life)
        finally:
            process.kill()
            process.wait()
    assert len(acknowledged) > 4

    store = open_chain(tmp_path, KEY)
    try:
        assert store.verify() == []
        assert store.head.sequence == len(segment(store.folder).read_text().splitlines())
    finally:
        store.close()
    kept = [json.loads(line)["id"] for line in segment(store.folder).read_text().splitlines()]
    assert set(acknowledged) <= set(kept)
    assert len(set(kept)) == len(kept)


def start(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the service as a process of its own, and wait until it answers."""
    variables = {
        "PYTHONPATH": str(PROGRAMS),
        "AUDIT_ENVIRONMENT": "test",
        "AUDIT_FOLDER": str(folder),
        "AUDIT_KEY": KEY.decode(),
        "AUDIT_PORT": str(port),
        "AUDIT_SOURCES": "gateway",
        "AUDIT_RETENTION_DAYS": "365",
        "AUDIT_VERIFY_MINUTES": "60",
    }
    # Whoever runs this test is a source, as root is on a host.
    code = "from audit_log import __main__, settings; settings.Settings.source = lambda *_: 'gateway'; __main__.main()"
    process = subprocess.Popen([sys.executable, "-c", code], env=variables, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return process


def send_until_it_ends(port: int, life: int) -> list[str]:
    """Send events one by one, and return those that were acknowledged before the service ended."""
    acknowledged: list[str] = []
    while True:
        one = vars(event(len(acknowledged), id=f"life-{life}-{len(acknowledged):06d}"))
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/events", json.dumps({"events": [one]}))
            if connection.getresponse().status == 200:
                acknowledged.append(one["id"])
        except (OSError, http.client.HTTPException):
            return acknowledged
        finally:
            connection.close()
