"""Asking the platform for a prediction: features from Feast's server, the answer from the model server."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import requests
from requests.adapters import HTTPAdapter

from flights.definitions import MODEL_FEATURES, SERVICE, STORED_FEATURES, model_name
from flights.errors import ServiceError
from flights.known import refuse_later_rows
from flights.schedule import CATEGORIES, KEYS
from flights.settings import Gateway

TIMEOUT_SECONDS = 30
_ATTEMPTS = 3
_LABELS_AT_ONCE = 5000


class Platform:
    """The two services behind the gateway, over kept connections. Not for use by several threads at once."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._session = requests.Session()
        self._session.auth = (gateway.user, gateway.password)
        self._session.verify = gateway.ca_file
        self._session.trust_env = False  # the platform's address is this machine's, never a proxy's business
        self._session.mount("https://", HTTPAdapter(max_retries=_ATTEMPTS))

    def features(self, flights: pd.DataFrame) -> pd.DataFrame:
        """Look the flights' features up online.

        Args:
            flights: Rows of the spine.

        Returns:
            The model's columns, in its order.

        Raises:
            KnownLaterError: The store gave a feature from after the moment of prediction.
            ServiceError: The feature server refused or didn't answer.
        """
        body = {
            "feature_service": SERVICE,
            "entities": {key: flights[key].tolist() for key in KEYS},
            "full_feature_names": True,
        }
        answer = self._request("POST", "/feast/get-online-features", body)
        names = answer["metadata"]["feature_names"]
        columns = {model_name(name): result["values"] for name, result in zip(names, answer["results"], strict=True)}
        looked_up = pd.DataFrame(columns, index=flights.index).drop(columns=KEYS, errors="ignore").astype(float)
        rows = refuse_later_rows(flights.join(looked_up), "event_timestamp", "online features")
        missing = [name for name in STORED_FEATURES if name not in rows]
        if missing:
            raise ServiceError(f"no feature {', '.join(missing)}", where="/feast/", fix="run the step features")
        return rows[MODEL_FEATURES]

    def predict(self, model: str, rows: pd.DataFrame, identifier: str = "") -> tuple[list[float], str]:
        """Ask the served model.

        Args:
            model: Its name.
            rows: The features.
            identifier: The request's id, by which labels find it later; without one the server makes it up.

        Returns:
            The probability of a late arrival for each row, and the version that answered ("" if it wasn't said).

        Raises:
            ServiceError: The model server refused or didn't answer.
        """
        answer = self._request("POST", f"/serving/v2/models/{model}/infer", infer_request(rows, identifier))
        output = answer["outputs"][0]
        width = output["shape"][1]
        return [float(value) for value in output["data"][width - 1 :: width]], str(answer.get("model_version") or "")

    def label(self, model: str, labels: Sequence[Mapping[str, Any]]) -> int | None:
        """Hand over what turned out to be true.

        Args:
            model: The model's name.
            labels: ``id`` of the request, ``label``, and when it ``happened``.

        Returns:
            How many were kept; None where the platform takes no labels.

        Raises:
            ServiceError: The platform refused some, or didn't answer.
        """
        kept = 0
        for start in range(0, len(labels), _LABELS_AT_ONCE):
            body = {"model": model, "labels": labels[start : start + _LABELS_AT_ONCE]}
            response = self._send("POST", "/drift/labels", body)
            if response.status_code == requests.codes.not_found:
                return None
            kept += int(_content(response, self._gateway.url + "/drift/labels")["kept"])
        return kept

    def ready(self, model: str) -> bool:
        """Say whether the model server has the model loaded."""
        url = f"{self._gateway.url}/serving/v2/models/{model}/ready"
        try:
            return self._session.get(url, timeout=TIMEOUT_SECONDS).ok
        except requests.RequestException:
            return False

    def _request(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return _content(self._send(method, path, body), self._gateway.url + path)

    def _send(self, method: str, path: str, body: Mapping[str, Any]) -> requests.Response:
        url = self._gateway.url + path
        try:
            return self._session.request(method, url, json=body, timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            raise ServiceError(
                "no answer", where=url, why=str(error), fix="check that the platform is up (terrace status)"
            ) from error


def _content(response: requests.Response, url: str) -> dict[str, Any]:
    if not response.ok:
        raise ServiceError(
            f"answered {response.status_code}",
            where=url,
            why=response.text[:500],
            fix="check TERRACE_GATEWAY_USER and TERRACE_GATEWAY_PASSWORD"
            if response.status_code == requests.codes.unauthorized
            else "see the service's log",
        )
    try:
        return dict(response.json())
    except (TypeError, ValueError) as error:
        raise ServiceError(
            "the answer is not a JSON object", where=url, why=response.text[:500], fix="see the service's log"
        ) from error


def infer_request(rows: pd.DataFrame, identifier: str = "") -> dict[str, Any]:
    """Return the Open Inference Protocol's request for a table; missing numbers travel as ``null``."""
    inputs = []
    for name in rows.columns:
        text = name in CATEGORIES
        values = [value if text else (None if math.isnan(value) else value) for value in rows[name].tolist()]
        inputs.append(
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "BYTES" if text else "FP64",
                "parameters": {"content_type": "str" if text else "np"},
                "data": values,
            }
        )
    body: dict[str, Any] = {"parameters": {"content_type": "pd"}, "inputs": inputs}
    return {**body, "id": identifier} if identifier else body
