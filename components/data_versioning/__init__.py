"""Slot ``data_versioning``: data sets by content, so that any commit's data can be restored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class DataVersioningOutputs(SlotOutputs):
    """What the slot gives: the address of the remote, behind the gateway's account."""

    url: str

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the remote's address."""
        return {"data_versioning": self.url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the remote's address; its account is the gateway's."""
        return {"DVC_REMOTE_URL": self.url}
