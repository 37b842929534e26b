"""HTTP to registries: TLS but for loopback, patience with what passes, and no account for whoever is redirected to."""

from __future__ import annotations

import contextlib
import email.message
import http.client
import ipaddress
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from terrace.errors import OperationError

TIMEOUT_SECONDS = 30.0
# Waits between attempts, in seconds; a registry that names a longer one gets it, up to a minute.
PAUSES = (1.0, 2.0, 4.0)
LONGEST_PAUSE = 60.0
PASSING = frozenset({429, 500, 502, 503, 504})
MOST_BYTES = 8 * 2**20  # registries keep manifests of up to 4 MiB
# What doesn't go away by asking again.
_FINAL = (ssl.SSLError, ConnectionRefusedError, socket.gaierror)


@dataclass(frozen=True)
class Answer:
    """What was answered; headers by their names in small letters."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes


class NoTls(Exception):
    """No TLS connection came about: most often the server speaks plain HTTP."""


def is_loopback(host: str) -> bool:
    """Return whether a registry's address, with or without port, is on this machine."""
    name = urllib.parse.urlsplit(f"//{host}").hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost"


class SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows to HTTPS alone. Accounts stay behind: they are unredirected headers of the request."""

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        """Return the request that a redirect leads to.

        Raises:
            OperationError: It leads away from TLS.
        """
        request, new_url = args[0], args[-1]
        if urllib.parse.urlsplit(new_url).scheme != "https" and request.type == "https":
            raise OperationError(
                f"{request.host} redirects to an address without TLS", where=request.full_url, why=repr(new_url)
            )
        return super().redirect_request(*args)


class Transport:
    """Asks registries.

    Args:
        pause: Waits for so many seconds.
    """

    def __init__(self, pause: Callable[[float], None] = time.sleep) -> None:
        self._pause = pause
        tls = urllib.request.HTTPSHandler(context=ssl.create_default_context())
        self._outside = urllib.request.build_opener(SafeRedirects, tls)
        self._here = urllib.request.build_opener(SafeRedirects, tls, urllib.request.ProxyHandler({}))

    def ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        *,
        authorization: str = "",
        body: bytes | None = None,
    ) -> Answer:
        """Return the answer, whatever its status; what passes is waited for.

        Raises:
            OperationError: There is none.
            NoTls: The server answers HTTPS with something else.
        """
        for wait in (*PAUSES, None):
            request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310  # HTTP or HTTPS
            if authorization:
                request.add_unredirected_header("Authorization", authorization)
            try:
                answer = self._once(request)
            except (OSError, http.client.HTTPException) as error:
                if wait is None or isinstance(_cause(error), _FINAL):
                    raise _no_answer(url, _cause(error)) from None
            else:
                if wait is None or answer.status not in PASSING:
                    return answer
                wait = max(wait, _asked_pause(answer))
            self._pause(wait)
        raise AssertionError("the last attempt returns or raises")

    def _once(self, request: urllib.request.Request) -> Answer:
        opener = self._here if is_loopback(request.host) else self._outside
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as got:
                return _answer(request.full_url, got.status, got.headers, got.read(MOST_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                return _answer(request.full_url, error.code, error.headers, error.read(MOST_BYTES))


def _answer(url: str, status: int, headers: email.message.Message, body: bytes) -> Answer:
    return Answer(url, status, {name.lower(): value for name, value in headers.items()}, body)


def _asked_pause(answer: Answer) -> float:
    """Return the seconds that a registry asks to wait for, 0 where it names none or a date."""
    text = answer.headers.get("retry-after", "")
    return min(float(text), LONGEST_PAUSE) if text.isdigit() else 0.0


def _cause(error: Exception) -> Exception:
    reason = getattr(error, "reason", None)
    return reason if isinstance(reason, Exception) else error


def _no_answer(url: str, cause: Exception) -> Exception:
    if isinstance(cause, ssl.SSLError) and not isinstance(cause, ssl.SSLCertVerificationError):
        return NoTls(str(cause))
    untrusted = isinstance(cause, ssl.SSLCertVerificationError)
    host = urllib.parse.urlsplit(url).netloc
    return OperationError(
        f"the certificate of {host} isn't trusted" if untrusted else f"no answer from {host}",
        where=url.partition("?")[0],
        why=cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else str(cause),
        fix="name a file with its authority's certificate in SSL_CERT_FILE" if untrusted else "see that it is reached",
    )
