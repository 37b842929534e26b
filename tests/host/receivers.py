"""A mail server and a webhook on this machine, which keep what they get: real ones, with TLS and accounts."""

from __future__ import annotations

import email
import email.policy
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword


@dataclass
class Inbox:
    """What has arrived, with whom it was for."""

    mails: list[tuple[tuple[str, ...], EmailMessage]] = field(default_factory=list)
    posts: list[dict[str, Any]] = field(default_factory=list)

    def mails_with(self, word: str) -> list[tuple[tuple[str, ...], str]]:
        """Return receivers and text of the mails that hold ``word``."""
        texts = [(receivers, mail.get_body(("plain",))) for receivers, mail in self.mails]
        return [(who, part.get_content()) for who, part in texts if part and word in part.get_content()]

    def alerts_with(self, **labels: str) -> list[dict[str, Any]]:
        """Return the posted alerts that have ``labels``, once per post."""
        return [one for post in self.posts for one in post["alerts"] if labels.items() <= one["labels"].items()]


class _MailHandler:
    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content or b""
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.inbox.mails.append((tuple(envelope.rcpt_tos), message))
        return "250 kept"


@contextmanager
def mail_server(inbox: Inbox, port: int, certificate: Path, key: Path, password: str) -> Iterator[None]:
    """Take mails of the user ``terrace`` over TLS alone."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        wanted = LoginPassword(b"terrace", password.encode())
        return AuthResult(success=data == wanted)

    controller = Controller(
        _MailHandler(inbox),
        hostname="127.0.0.1",
        port=port,
        server_hostname="localhost",
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
        auth_exclude_mechanism=["LOGIN"],  # whose challenges aiosmtpd words differently from what Alertmanager knows
    )
    controller.start()
    try:
        yield
    finally:
        controller.stop()


@contextmanager
def webhook(inbox: Inbox, port: int, token: str | None = None) -> Iterator[int]:
    """Take posts that bear ``token``; port 0 takes a free one. Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            allowed = token is None or self.headers["Authorization"] == f"Bearer {token}"
            if allowed:
                inbox.posts.append(json.loads(content))
            self.send_response(200 if allowed else 401)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
