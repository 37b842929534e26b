"""The input example that a model brings along, as the request that tries the model."""

from __future__ import annotations

import uuid
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow.models import Model
from mlflow.types import DataType
from mlserver.codecs import NumpyRequestCodec
from mlserver.types import InferenceRequest, Parameters, RequestInput

from .errors import DeploymentError
from .records import TRIAL

# How columns of a model's signature travel: the protocol's datatype, and the codec of MLServer that reads it.
DATATYPES = {
    DataType.boolean: ("BOOL", "np"),
    DataType.integer: ("INT32", "np"),
    DataType.long: ("INT64", "np"),
    DataType.float: ("FP32", "np"),
    DataType.double: ("FP64", "np"),
    DataType.string: ("BYTES", "str"),
}


def example_request(files: Path) -> InferenceRequest | None:
    """Return the model's input example as an inference request, marked as a trial, or None where it has none that fits.

    Raises:
        DeploymentError: The example cannot be read.
    """
    try:
        model = Model.load(str(files))
        example = model.load_input_example(str(files))
        request: InferenceRequest | None = None
        if isinstance(example, pd.DataFrame):
            request = _table_request(example, model)
        elif isinstance(example, np.ndarray):
            request = NumpyRequestCodec.encode_request(example)
        return request.model_copy(update={"id": f"{TRIAL}-{uuid.uuid4()}"}) if request else None
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
