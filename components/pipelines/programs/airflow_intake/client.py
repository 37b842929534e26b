"""Airflow's stable REST API, as far as pipelines need it (https://airflow.apache.org/docs/apache-airflow/stable/)."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

REQUEST_SECONDS = 10.0


class AirflowError(Exception):
    """Airflow refused (``status``), or could not be reached (``status`` 0)."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    @property
    def passing(self) -> bool:
        """Whether the same may well be answered a moment later."""
        return self.status == 0 or self.status >= 500


class AirflowClient:
    """Airflow's API server.

    Args:
        base_url: Its address with the path that it has behind the gateway.
        user: The account's name.
        password: The account's password.
    """

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._base = base_url.rstrip("/")
        self._account = {"username": user, "password": password}
        self._token = ""
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    async def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None, **query: object
    ) -> dict[str, Any]:
        """Return the answer to a request below ``/api/v2``.

        Raises:
            AirflowError: It is refused, or not answered.
        """
        return await asyncio.to_thread(self._ask, method, path, body, query)

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None, query: Mapping[str, object]
    ) -> dict[str, Any]:
        url = f"/api/v2{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        if self._token:
            try:
                return self._send(method, url, body)
            except AirflowError as error:
                if error.status not in {401, 403}:
                    raise
        self._token = self._send("POST", "/auth/token", self._account)["access_token"]
        return self._send(method, url, body)

    def _send(self, method: str, path: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        # The address is the flavor's own.
        request = urllib.request.Request(self._base + path, data=data, method=method, headers=headers)  # noqa: S310
        try:
            with self._opener.open(request, timeout=REQUEST_SECONDS) as answer:
                answered: dict[str, Any] = json.loads(answer.read() or b"{}")
                return answered
        except urllib.error.HTTPError as error:
            with error:
                raise AirflowError(error.code, f"Airflow answers {error.code}: {_detail(error)}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AirflowError(0, f"Airflow can't be reached: {error}") from None


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read())["detail"])
    except (ValueError, KeyError, TypeError, OSError, http.client.HTTPException):
        return str(error.reason)
