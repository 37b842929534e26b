"""HTTP with an account and the environment's own certificate, for commands that talk to a platform that is up."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.errors import InputError, OperationError
from terrace.status import EXPIRED, refused_certificate

TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Answer:
    """What was answered.

    Attributes:
        url: Who answered.
        status: The status code of HTTP.
        reason: What the status code means.
        content: The body.
    """

    url: str
    status: int
    reason: str
    content: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the body as data.

        Raises:
            OperationError: It is no JSON.
        """
        try:
            return json.loads(self.text or "{}")
        except ValueError:
            raise OperationError("the answer is no JSON", where=self.url, why=self.text[:200]) from None


def trust(ca_file: str | Path | None) -> ssl.SSLContext:
    """Return what trusts the certificates of this authority; of the system's where absent.

    Raises:
        OperationError: The authority's certificate isn't there, or is none.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise OperationError(
            "the certificate of the environment's own authority can't be read",
            where=str(ca_file),
            why=error.strerror or str(error),
            fix="`terrace up <env>` makes it anew; it is gone where somebody removed files of the platform",
        ) from error


def reason(error: Exception) -> tuple[str, str]:
    """Return why there is no answer, and what to do about it."""
    if refused_certificate(error) == EXPIRED:
        return "the certificate there has expired", "`terrace up <env>` renews it; `terrace status <env>` says if not"
    return str(getattr(error, "reason", "") or error), "see how the platform is: terrace status <env>"


class Client:
    """A service behind the gateway.

    Args:
        url: Its address.
        user: The account's name.
        password: The account's password.
        ca_file: The certificate to trust; the system's where absent.

    Raises:
        InputError: The address is none of HTTP.
        OperationError: The certificate can't be read.
    """

    def __init__(self, url: str, user: str, password: str, ca_file: str | Path | None = None) -> None:
        address = urllib.parse.urlsplit(url)
        if address.scheme not in {"http", "https"}:
            raise InputError("the address of a service begins with https:// or http://", where=url)
        self._url = url.rstrip("/")
        self._account = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=trust(ca_file))]
        if address.hostname in {"localhost", "127.0.0.1", "::1"}:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def request(self, method: str, path: str, body: Any = None) -> Answer:
        """Send ``body`` as JSON (nothing where it is None), and return the answer, whatever its status.

        Raises:
            OperationError: There is none.
        """
        content = None if body is None else json.dumps(body).encode()
        return self.send(method, path, content, {"Content-Type": "application/json"})

    def send(self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Send ``content`` as it is, and return the answer, whatever its status.

        Raises:
            OperationError: There is none.
        """
        url = self._url + path
        request = urllib.request.Request(url, content, dict(headers), method=method)  # noqa: S310  # __init__ looked at its scheme
        # Unredirected: the account must not be sent on to wherever an answer points.
        request.add_unredirected_header("Authorization", self._account)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Answer(url, answer.status, answer.reason, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(url, error.code, error.reason, error.read())
        except (OSError, http.client.HTTPException) as error:
            why, fix = reason(error)
            raise OperationError("no answer", where=url, why=why, fix=fix) from error
