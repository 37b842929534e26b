"""HTTP basic authentication in front of everything but health and metrics, and what each account may do."""

from __future__ import annotations

import base64
import binascii
import hmac

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import Refused
from .people import RIGHTS, People

OPEN_PATHS = frozenset({"/alive", "/health", "/metrics"})
READING = frozenset({"GET", "HEAD", "OPTIONS"})
OF_RUNS = ("/runs", "/cancel")  # how the paths end that start and cancel runs


class BasicAuthentication:
    """Lets the one account of projects do everything, and people what their right allows."""

    def __init__(self, app: ASGIApp, user: str, password: str, people: People) -> None:
        self._app = app
        self._expected = f"{user}:{password}".encode()
        self._people = people

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 to a wrong account and 403 to one that may not do this."""
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        held, needed = self._right(Headers(scope=scope)), _needed(scope["method"], scope["path"])
        if held and RIGHTS.index(held) >= RIGHTS.index(needed):
            await self._app(scope, receive, send)
            return
        refused, headers = _missing_right(held, needed) if held else _missing_account()
        await JSONResponse(refused.body(), refused.status, headers)(scope, receive, send)

    def _right(self, headers: Headers) -> str | None:
        """Return what the request's account may do; None where there is no such account."""
        given = _given(headers)
        if given is None:
            return None
        if hmac.compare_digest(given, self._expected):
            return RIGHTS[-1]
        return self._people.right(given)


def _given(headers: Headers) -> bytes | None:
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None


def _needed(method: str, path: str) -> str:
    if method in READING:
        return "read"
    return "use" if method == "POST" and path.endswith(OF_RUNS) else "edit"


def _missing_account() -> tuple[Refused, dict[str, str]]:
    refused = Refused(401, "An account is needed", fix="Send its name and password (HTTP basic authentication).")
    return refused, {"WWW-Authenticate": 'Basic realm="pipelines", charset="UTF-8"'}


def _missing_right(held: str, needed: str) -> tuple[Refused, dict[str, str]]:
    why = f"This needs the right `{needed}` in pipelines; the account has `{held}`."
    return Refused(403, "The account may not do this", why, fix="`terrace team` shows who has which right."), {}
