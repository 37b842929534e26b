"""A token server as registries send their clients to: https://distribution.github.io/distribution/spec/auth/token/."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from tests.kubernetes.registries import BASIC, Certificate

SERVICE, ISSUER = "registry of the tests", "tests"
IDENTITY_TOKEN = "identity-t0ken-of-the-tests"
PUBLIC = "public/"  # what everybody may pull


class TokenServer:
    """Gives tokens: to everybody for public repositories, to USER for all of them."""

    def __init__(self, signer: Certificate, realm: str) -> None:
        self._signer = signer
        self.realm = realm
        self.asked: list[str] = []  # how each token was asked for

    def auth(self) -> dict[str, Any]:
        """Return the registry's setting that trusts it."""
        settings = {"realm": self.realm, "service": SERVICE, "issuer": ISSUER, "rootcertbundle": str(self._signer.file)}
        return {"token": settings}

    def answer(self, how: str, asked: Mapping[str, str], *, known: bool) -> dict[str, Any] | None:
        """Return the answer; None where whoever asks may not have what was asked for."""
        self.asked.append(how)
        kind, repository, actions = asked["scope"].split(":")
        if asked["service"] != SERVICE or not (known or (repository.startswith(PUBLIC) and actions == "pull")):
            return None
        token = self.token(kind, repository, actions.split(","))
        return {"access_token": token} if how == "refresh token" else {"token": token, "expires_in": 60}

    def token(self, kind: str, repository: str, actions: list[str]) -> str:
        """Return a signed token."""
        now = int(time.time())
        header = {"typ": "JWT", "alg": "ES256", "x5c": [base64.b64encode(self._signer.der).decode()]}
        claims = {
            "iss": ISSUER,
            "sub": "",
            "aud": SERVICE,
            "exp": now + 60,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": [{"type": kind, "name": repository, "actions": actions}],
        }
        text = ".".join(_encoded(json.dumps(part).encode()) for part in (header, claims))
        numbers = decode_dss_signature(self._signer.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{text}.{_encoded(b''.join(number.to_bytes(32, 'big') for number in numbers))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@contextmanager
def token_server(signer: Certificate, host: str = "127.0.0.1") -> Iterator[TokenServer]:
    """Run a token server on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown = self.headers.get("Authorization", "")
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query))
            self._send(server.answer("account" if shown else "nobody", query, known=shown == BASIC))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(urllib.parse.parse_qsl(body))
            known = form.get("grant_type") == "refresh_token" and form.get("refresh_token") == IDENTITY_TOKEN
            self._send(server.answer("refresh token", form, known=known))

        def _send(self, document: dict[str, Any] | None) -> None:
            content = json.dumps(document or {"details": "no"}).encode()
            self.send_response(200 if document else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return

    listening = ThreadingHTTPServer((host, 0), Handler)
    server = TokenServer(signer, f"http://{host}:{listening.server_address[1]}/token")
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()
