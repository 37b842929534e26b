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

from terrace.errors import OperationError
from terrace.status import EXPIRED, refused_certificate

TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    url: str
    status: int
    text: str

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
        OperationError: The certificate can't be read.
    """

    def __init__(self, url: str, user: str, password: str, ca_file: str | None = None) -> None:
        self._url = url.rstrip("/")
        self._account = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        handlers: list[urllib.request.BaseHandler] = [urllib.request.HTTPSHandler(context=trust(ca_file))]
        if urllib.parse.urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            OperationError: There is none.
        """
        url = self._url + path
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": self._account, "Content-Type": "application/json"}
        request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310  # the platform's address
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return Answer(url, answer.status, answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(url, error.code, error.read().decode(errors="replace"))
        except (OSError, http.client.HTTPException) as error:
            why, fix = reason(error)
            raise OperationError("no answer", where=url, why=why, fix=fix) from error
