"""Slot ``portal``: one page that shows what the platform is made of, how it is, and who answers for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class PortalOutputs(SlotOutputs):
    """What the slot gives: the page, behind the gateway's account."""

    url: str

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the page's address."""
        return {"portal": self.url}
