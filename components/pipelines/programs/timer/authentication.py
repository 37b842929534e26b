"""HTTP basic authentication in front of everything but health and metrics."""

from __future__ import annotations

import base64
import binascii
import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import Refused

OPEN_PATHS = frozenset({"/health", "/metrics"})


class BasicAuthentication:
    """Lets requests through that carry the one account's name and password."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._expected = f"{user}:{password}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS or self._allowed(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        refused = Refused(401, "An account is needed", fix="Send its name and password (HTTP basic authentication).")
        challenge = {"WWW-Authenticate": 'Basic realm="pipelines", charset="UTF-8"'}
        await JSONResponse(refused.body(), refused.status, challenge)(scope, receive, send)

    def _allowed(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            given = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError):
            return False
        return hmac.compare_digest(given, self._expected)
