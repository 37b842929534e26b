"""The program that brings the gateway's requests to the audit log, as a process runs it."""

from __future__ import annotations

import http.server
import json
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from components.gateway.programs.audit_collector import __main__ as program
from tests.components.audit_lines import Nginx, line, nginx

__all__ = ["nginx"]  # a fixture


@contextmanager
def late_log() -> Iterator[tuple[http.server.HTTPServer, list[list[dict[str, Any]]]]]:
    """An audit log whose port is its own and which doesn't listen yet, and the events that it gets in each request."""
    received: list[list[dict[str, Any]]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["events"])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False) as server:
        server.server_bind()
        yield server, received


def listen(server: http.server.HTTPServer) -> None:
    server.server_activate()
    server.serve_forever()


@pytest.fixture
def variables(nginx: Nginx, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the program is told."""
    (tmp_path / "accounts").write_text("ann:{SSHA}x\n")
    (tmp_path / "feast.acts").write_text('[{"path": "/feast/", "slot": "feature_store", "reads": true, "acts": []}]')
    told = {"NGINX_PID": "nginx.pid", "ACCOUNTS_FILE": str(tmp_path / "accounts"), "AUDIT_ACCOUNTS": "admin"}
    for name, value in {**told, "AUDIT_REQUESTS": str(nginx.path), "AUDIT_ROUTES": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(program, "REQUEST_SECONDS", 0.2)


@pytest.mark.usefixtures("variables")
def test_the_program_sends_what_there_is_and_a_sign_of_life(
    nginx: Nginx, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "HEARTBEAT_SECONDS", 0)
    monkeypatch.delattr(program, "signal")  # on a host it ends at once
    naps = 0

    def sleep(_seconds: float) -> None:
        nonlocal naps
        naps += 1
        if naps == 1:
            threading.Thread(target=listen, args=(server,), daemon=True).start()
            nginx.write(1)
            nginx.file.write(line(2, status=401, user="typed") + "\n" + line(3, status=401, user="admin") + "\n")
            nginx.file.flush()
        if naps == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", sleep)
    with late_log() as (server, received):
        monkeypatch.setenv("AUDIT_PORT", str(server.server_port))
        with pytest.raises(KeyboardInterrupt):
            program.main()
        server.shutdown()
    assert "not sent yet" in capsys.readouterr().out, "nobody listened at first"
    assert [each["actor"] for each in received[0]] == ["ann", "ann", "unknown", "admin"]
    assert received[1:] == [[], []]


@pytest.mark.usefixtures("variables")
def test_in_a_pod_what_nginx_writes_while_both_end_is_sent(nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Any] = []
    monkeypatch.setenv("AUDIT_HOST", "127.0.0.1")
    monkeypatch.setattr(program.signal, "signal", lambda number, handler: handlers.append((number, handler)))

    naps = 0

    def sleep(_seconds: float) -> None:
        """Be told to end in the first nap; nginx writes until it has ended, which is later."""
        nonlocal naps
        naps += 1
        if naps == 1:
            ((number, handler),) = handlers
            handler(number, None)
        else:
            nginx.write(1)

    monkeypatch.setattr(time, "sleep", sleep)
    with late_log() as (server, received):
        threading.Thread(target=listen, args=(server,), daemon=True).start()
        monkeypatch.setenv("AUDIT_PORT", str(server.server_port))
        program.main()
        server.shutdown()
    assert (naps, handlers[0][0]) == (2, signal.SIGTERM)
    assert [[each["actor"] for each in events] for events in received if events] == [["ann", "ann"]]
