"""Slot ``workbench``: notebooks and terminals on the platform's machine, for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class WorkbenchOutputs(SlotOutputs):
    """What the slot gives: one address for everybody; who asks decides whose workbench it leads to."""

    url: str

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"workbench": self.url}
