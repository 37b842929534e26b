"""MLServer's REST API, as far as deploying needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import requests

from .errors import DeploymentError

if TYPE_CHECKING:
    from mlserver.types import InferenceRequest

LOAD_SECONDS = 600
ANSWER_SECONDS = 60


class Server:
    """A running MLServer.

    Its methods raise :class:`requests.RequestException` when it cannot be reached.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()

    def live(self) -> bool:
        """Return whether the server itself answers."""
        return bool(self._session.get(f"{self._url}/v2/health/live", timeout=ANSWER_SECONDS).ok)

    def ready(self, name: str, version: str | None = None) -> bool:
        """Return whether the model answers; without ``version``, the one that is served."""
        return bool(self._session.get(f"{self._model(name, version)}/ready", timeout=ANSWER_SECONDS).ok)

    def load(self, name: str) -> None:
        """Make MLServer load what is on disk for this model, and unload what no longer is.

        Raises:
            DeploymentError: MLServer refuses it.
        """
        answer = self._session.post(
            f"{self._url}/v2/repository/models/{quote(name, safe='')}/load", timeout=LOAD_SECONDS
        )
        if not answer.ok:
            raise DeploymentError(f"MLServer cannot load the model: {_reason(answer)}")

    def unload(self, name: str) -> None:
        """Unload every version of the model; one that is not loaded is fine."""
        self._session.post(f"{self._url}/v2/repository/models/{quote(name, safe='')}/unload", timeout=LOAD_SECONDS)

    def answer(self, name: str, version: str | None, request: InferenceRequest) -> dict[str, Any]:
        """Return the model's answer to ``request``.

        Raises:
            DeploymentError: It gives none.
        """
        answer = self._session.post(
            f"{self._model(name, version)}/infer",
            data=request.model_dump_json(exclude_none=True),
            headers={"content-type": "application/json"},
            timeout=ANSWER_SECONDS,
        )
        if not answer.ok:
            raise DeploymentError(f"the model does not answer its own input example: {_reason(answer)}")
        body: dict[str, Any] = answer.json()
        if not body.get("outputs"):
            raise DeploymentError("the model answers its own input example with nothing")
        return body

    def _model(self, name: str, version: str | None) -> str:
        path = f"{self._url}/v2/models/{quote(name, safe='')}"
        return f"{path}/versions/{version}" if version else path


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])[:1500]
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:1500]}"
