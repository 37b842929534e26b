"""Slot ``drift``: whether what models are asked, and answer, is like what they were trained on, and how right it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class DriftOutputs(SlotOutputs):
    """What the slot gives: where the reports are, behind the gateway's account."""

    url: str

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the address of the reports."""
        return {"drift": self.url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the address below which a project hands labels over, and can ask for a look."""
        return {"DRIFT_URL": self.url}
