"""What services tell an audit log on another host: who they are goes along, by mutual TLS."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.audit.programs.audit_log import relay as program
from components.audit.programs.audit_log.relay import Relay, Way
from components.gateway.programs import certificates
from terrace.certificates import _authority

Heard = list[tuple[str, str, dict[str, str], bytes]]


class Far(BaseHTTPRequestHandler):
    """The log's host: answers with what it heard."""

    heard: ClassVar[Heard] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.heard.append((self.command, self.path, dict(self.headers), body))
        answer = b'{"recorded": 1}'
        self.send_response(403 if self.path == "/records" else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET  # noqa: N815  # the base class's name

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""


def host(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a host's authority, ``ca.crt``, and its certificate in ``folder``."""
    folder.mkdir()
    certificate, key = _authority(f"Terrace test {name}")
    (folder / "ca.crt").write_text(certificate)
    monkeypatch.setenv("CERTIFICATE_USES", "server,client")
    private = serialization.load_pem_private_key(key.encode(), password=None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    authority = x509.load_pem_x509_certificate(certificate.encode())
    certificates.issue(folder, authority, private, [name, "127.0.0.1"])
    return folder


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[int]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class Between:
    """Two hosts, and what a service on the one asks its relay."""

    def __init__(self, near: Path, far: Path, far_port: int, user: str | None, patch: pytest.MonkeyPatch) -> None:
        self.way = Way("test", "127.0.0.1", far_port, far / "ca.crt", near)
        self.user = user
        patch.setattr(program, "source_of", lambda environment, uid: self.user if uid == os.getuid() else None)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        """Ask a relay that listens on a free port and leads to the other host's."""
        relay = Relay(replace(self.way, port=0))
        relay.way = self.way
        with served(relay) as port:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request(method, path, body or None, headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            finally:
                connection.close()


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = host(tmp_path / name, name, monkeypatch)
        return made[name]

    return folder


@pytest.fixture
def between(folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[Between]:
    near, far = folders("near"), folders("far")
    monkeypatch.setattr(Far, "heard", [])
    server = ThreadingHTTPServer(("127.0.0.1", 0), Far)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(far / "server.crt", far / "server.key")
    context.load_verify_locations(near / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with served(server) as port:
        yield Between(near, far, port, "mlserver", monkeypatch)


def test_events_arrive_with_who_sent_them(between: Between) -> None:
    body = json.dumps({"events": []}).encode()
    assert between.ask("POST", "/events", body, **{"X-Audit-Source": "gateway", "X-Audit-Host": "far"}) == (
        200,
        '{"recorded": 1}',
    )
    ((method, path, headers, content),) = Far.heard
    assert (method, path, content) == ("POST", "/events", body)
    assert headers["X-Audit-Source"] == "mlserver", "whatever it says of itself"
    assert "X-Audit-Host" not in headers, "the other end knows"


def test_answers_come_back_and_a_stranger_is_nobody(between: Between) -> None:
    between.user = None
    assert between.ask("GET", "/records", **{"X-Forwarded-For": "127.0.0.1"})[0] == 403
    ((_, _, headers, _),) = Far.heard
    assert (headers["X-Audit-Source"], headers["X-Forwarded-For"]) == ("", "127.0.0.1")


def test_too_much_is_refused_here(between: Between, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "LARGEST_BYTES", 3)
    assert between.ask("POST", "/events", b"four")[0] == 413
    assert Far.heard == []


def test_another_host_in_its_place_hears_nothing(between: Between, folders: Callable[[str], Path]) -> None:
    between.way = replace(between.way, authority=folders("other") / "ca.crt")
    assert between.ask("POST", "/events", b"{}") == (502, "the audit log's host can't be reached\n")
    assert Far.heard == []


def test_a_host_without_the_edge_is_not_heard(between: Between, folders: Callable[[str], Path]) -> None:
    between.way = replace(between.way, folder=folders("other"))
    assert between.ask("POST", "/events", b"{}")[0] == 502
    assert Far.heard == []


def test_the_way_is_told_by_the_environment(tmp_path: Path) -> None:
    way = Way.read(
        {
            "AUDIT_ENVIRONMENT": "test",
            "AUDIT_ADDRESS": "10.1.0.1",
            "AUDIT_PORT": "18190",
            "AUDIT_AUTHORITY": str(tmp_path / "store.crt"),
            "CERTIFICATE_FOLDER": str(tmp_path),
        }
    )
    assert way == Way("test", "10.1.0.1", 18190, tmp_path / "store.crt", tmp_path)
