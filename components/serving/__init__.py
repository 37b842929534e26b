"""Slot ``serving``: registered models behind the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class ServingOutputs(SlotOutputs):
    """What the slot gives: where predictions are asked for, behind the gateway's account."""

    url: str

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"serving": self.url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the address of the inference API."""
        return {"SERVING_URL": self.url}
