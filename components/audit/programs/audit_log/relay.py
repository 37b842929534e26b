"""Hands on what services of this host tell an audit log on another one: ``python3 -m audit_log.relay``.

It is part of the host's link, and listens on loopback where the log does on its own host. The kernel knows the user at
the other end of a connection here, and not there, so this program says who it is. That it is this host that says so,
the link at the other end knows by the certificate.
"""

from __future__ import annotations

import http.client
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .peers import source_of, user_of
from .settings import LARGEST_BYTES, SOURCE_HEADER

SECONDS = 30.0
KEPT_HEADERS = ("Content-Type", "X-Forwarded-For")


@dataclass(frozen=True)
class Way:
    """The way to the log.

    Args:
        environment: The environment, ``AUDIT_ENVIRONMENT``.
        address: The log's host, ``AUDIT_ADDRESS``.
        port: The port there, and here on loopback, ``AUDIT_PORT``.
        authority: The certificate of that host's authority, ``AUDIT_AUTHORITY``.
        folder: Holds this host's own certificate, ``CERTIFICATE_FOLDER``; it is renewed there.
    """

    environment: str
    address: str
    port: int
    authority: Path
    folder: Path

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Way:
        """Read it."""
        return cls(
            variables["AUDIT_ENVIRONMENT"],
            variables["AUDIT_ADDRESS"],
            int(variables["AUDIT_PORT"]),
            Path(variables["AUDIT_AUTHORITY"]),
            Path(variables["CERTIFICATE_FOLDER"]),
        )

    def connection(self) -> http.client.HTTPConnection:
        """Return a connection to the log, by mutual TLS.

        Raises:
            OSError: A certificate can't be read.
        """
        context = ssl.create_default_context(cafile=str(self.authority))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        return http.client.HTTPSConnection(self.address, self.port, timeout=SECONDS, context=context)


class Relay(ThreadingHTTPServer):
    """Takes connections of this host's services."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, way: Way) -> None:
        super().__init__(("127.0.0.1", way.port), Handler)
        self.way = way


class Handler(BaseHTTPRequestHandler):
    """Hands a request on, and its answer back."""

    server: Relay
    server_version = "audit"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:  # the base class's name
        """Hand on a question."""
        self._hand_on()

    def do_POST(self) -> None:  # the base class's name
        """Hand on events."""
        self._hand_on()

    def _hand_on(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > LARGEST_BYTES:
            self.send_error(413)
            return
        source = source_of(self.server.way.environment, user_of(self.client_address, self.connection.getsockname()))
        headers = {name: self.headers[name] for name in KEPT_HEADERS if name in self.headers}
        try:
            status, known, content = self._ask(self.rfile.read(length), {**headers, SOURCE_HEADER: source or ""})
        except (OSError, http.client.HTTPException):
            status, known, content = 502, {"Content-Type": "text/plain"}, b"the audit log's host can't be reached\n"
        self.send_response(status)
        for name, value in {**known, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _ask(self, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        connection = self.server.way.connection()
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
            kept = ("Content-Type", "Cache-Control", "Content-Security-Policy")
            return answer.status, {name: answer.headers[name] for name in kept if name in answer.headers}, answer.read()
        finally:
            connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Leave it to those who ask."""


def main() -> None:
    """Hand on until the process is ended."""
    Relay(Way.read()).serve_forever()


if __name__ == "__main__":
    main()
