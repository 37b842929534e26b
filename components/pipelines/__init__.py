"""Slot ``pipelines``: scheduled and on-demand runs of projects' pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Account, SlotOutputs


@dataclass(frozen=True)
class PipelinesOutputs(SlotOutputs):
    """What the slot gives: the address that pipelines are sent to, and the account for it."""

    url: str
    account: Account

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"pipelines": self.url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return what a client needs to send a pipeline and run it."""
        return {
            "PIPELINES_URL": self.url,
            "PIPELINES_USER": self.account.user,
            "PIPELINES_PASSWORD": self.account.password,
        }

    def credentials(self) -> Mapping[str, Account]:
        """Return the account that pipelines are sent with."""
        return {"pipelines": self.account}
