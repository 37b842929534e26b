"""A served prediction as it is kept: what was asked, what was answered, by which version, personal data masked.

What of a model's inputs is masked follows from the classes of data in the environment's use cases: an input of class
``pii`` is dropped; one of class ``confidential`` is replaced by a keyed hash, so that equal values stay equal and
nobody without the key can look for a value.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import places
from .spool import Spool

if TYPE_CHECKING:
    from mlserver.types import InferenceRequest, InferenceResponse

EVERY_INPUT = "*"
DROPPED = "pii"
HASHED = "confidential"
TRIAL = "terrace-trial"  # begins the ids of the deployer's own requests
HASH_LENGTH = 32  # hexadecimal digits


@dataclass(frozen=True)
class Keeper:
    """Keeps one model's predictions.

    Args:
        spool: Where they wait for the database.
        classes: The class of data of each input by its name, ``*`` for those that are not named.
        key: What hashes are made with.
    """

    spool: Spool
    classes: Mapping[str, str]
    key: bytes

    @classmethod
    def of(cls, place: str, environment: Mapping[str, str] = os.environ) -> Keeper | None:
        """Return the keeper for what is served under ``place``, or None where predictions are not kept."""
        if not environment.get("PREDICTIONS_SPOOL"):
            return None
        masks = json.loads(Path(environment["PREDICTIONS_MASKS"]).read_text(encoding="utf-8"))
        return cls(
            Spool(Path(environment["PREDICTIONS_SPOOL"])),
            masks.get(places.model_of(place), {}),
            environment["PREDICTIONS_KEY"].encode(),
        )

    def keep(self, place: str, version: str, request: InferenceRequest, response: InferenceResponse) -> None:
        """Write the prediction down before it is answered.

        Raises:
            OSError: It cannot be written; the request then fails, for what is answered is kept.
        """
        record = {
            "id": str(uuid.uuid4()),
            "model": places.model_of(place),
            "version": version,
            "purpose": _purpose(place, request.id),
            "at": datetime.now(UTC).isoformat(),
            "request_id": request.id or "",
            "inputs": [self._input(each.name, each.datatype, each.shape, each.data) for each in request.inputs],
            "outputs": [_tensor(each.name, each.datatype, each.shape, each.data) for each in response.outputs],
        }
        self.spool.append(_line(record))

    def _input(self, name: str, datatype: Any, shape: Any, data: Any) -> dict[str, Any]:
        kind = self.classes.get(name, self.classes.get(EVERY_INPUT, ""))
        if kind not in (DROPPED, HASHED):
            return _tensor(name, datatype, shape, data)
        values = None if kind == DROPPED else self._hashed(_plain(data))
        return {"name": name, "datatype": _word(datatype), "shape": list(shape), "masked": kind, "data": values}

    def _hashed(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._hashed(each) for each in value]
        if value is None:
            return None
        text = json.dumps(value, default=str).encode()
        return hmac.new(self.key, text, hashlib.sha256).hexdigest()[:HASH_LENGTH]


def _purpose(place: str, identifier: str | None) -> str:
    if (identifier or "").startswith(TRIAL):
        return "trial"
    return places.CANDIDATE if places.is_candidate(place) else "production"


def _tensor(name: str, datatype: Any, shape: Any, data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": _word(datatype), "shape": list(shape), "data": _plain(data)}


def _word(datatype: Any) -> str:
    return str(getattr(datatype, "value", datatype))


def _plain(data: Any) -> Any:
    """Return the protocol's data as what JSON can hold."""
    data = getattr(data, "root", data)
    if hasattr(data, "tolist"):
        data = data.tolist()
    if isinstance(data, bytes):
        return data.decode(errors="replace")
    return [_plain(each) for each in data] if isinstance(data, (list, tuple)) else data


def _line(record: Mapping[str, Any]) -> bytes:
    try:
        text = json.dumps(record, allow_nan=False, default=str)
    except ValueError:
        text = json.dumps(_finite(record), default=str)
    return text.encode() + b"\n"


def _finite(value: Any) -> Any:
    """Return the value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
