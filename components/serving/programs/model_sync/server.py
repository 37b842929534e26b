"""MLServer's REST API, as far as deploying needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd
import requests
from mlflow.models import Model
from mlflow.types import DataType
from mlserver.codecs import NumpyRequestCodec
from mlserver.types import InferenceRequest, Parameters, RequestInput

from .errors import DeploymentError

LOAD_SECONDS = 600
ANSWER_SECONDS = 60
# How columns of a model's signature travel: the protocol's datatype, and the codec of MLServer that reads it.
DATATYPES = {
    DataType.boolean: ("BOOL", "np"),
    DataType.integer: ("INT32", "np"),
    DataType.long: ("INT64", "np"),
    DataType.float: ("FP32", "np"),
    DataType.double: ("FP64", "np"),
    DataType.string: ("BYTES", "str"),
}


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


def example_request(files: Path) -> InferenceRequest | None:
    """Return the model's input example as an inference request, or None where it has none that fits.

    Raises:
        DeploymentError: The example cannot be read.
    """
    try:
        model = Model.load(str(files))
        example = model.load_input_example(str(files))
        if isinstance(example, pd.DataFrame):
            return _table_request(example, model)
        return NumpyRequestCodec.encode_request(example) if isinstance(example, np.ndarray) else None
    except Exception as error:  # neither MLflow nor MLServer promises a particular exception here
        raise DeploymentError(f"the model's input example cannot be read: {error}") from error


def _table_request(example: pd.DataFrame, model: Model) -> InferenceRequest | None:
    """Return a table's request; its types are the signature's, for a column of nulls does not tell its own."""
    if model.signature is None or not model.signature.inputs.has_input_names():
        return None
    inputs = []
    for column in model.signature.inputs.inputs:
        if column.type not in DATATYPES:
            return None
        datatype, content_type = DATATYPES[column.type]
        values = [None if pd.isna(value) else value for value in example[column.name].tolist()]
        parameters = Parameters(content_type=content_type)
        shape = [len(values), 1]
        inputs.append(
            RequestInput(name=column.name, shape=shape, datatype=datatype, parameters=parameters, data=values)
        )
    return InferenceRequest(parameters=Parameters(content_type="pd"), inputs=inputs)


def _reason(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])[:1500]
    except (ValueError, KeyError, TypeError):
        return f"{answer.status_code} {answer.text[:1500]}"
