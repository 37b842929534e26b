"""Slot ``serving``: registered models behind the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs
from components.database import DatabaseAccess


@dataclass(frozen=True)
class ServingOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        url: Where predictions are asked for, behind the gateway's account.
        alias: The registry alias of the version in production.
        candidate_alias: The registry alias of the version that is served beside it.
        predictions: The database of kept predictions by a role that may read them; None where none are kept.
        labels: The same by a role that may keep labels of them, and nothing else.
    """

    url: str
    alias: str
    candidate_alias: str
    predictions: DatabaseAccess | None = None
    labels: DatabaseAccess | None = None

    def ports(self) -> tuple[int, ...]:
        """Return the port of the database of kept predictions."""
        return (self.predictions.port,) if self.predictions else ()

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"serving": self.url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the address of the inference API, and the aliases that it follows."""
        return {
            "SERVING_URL": self.url,
            "SERVING_ALIAS": self.alias,
            "SERVING_CANDIDATE_ALIAS": self.candidate_alias,
        }
