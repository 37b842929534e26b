"""Slot ``registry``: named models with versions and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Account, SlotOutputs, ports_of


@dataclass(frozen=True)
class RegistryOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        url: Where other services of the platform reach it.
        public_url: Where people and projects reach it.
        serving_account: The account by which serving reads models and reports their state.
        reader_account: The account of what looks at models and their runs and changes nothing.
    """

    url: str
    public_url: str
    serving_account: Account
    reader_account: Account

    def ports(self) -> tuple[int, ...]:
        """Return the port of ``url``."""
        return ports_of(self.url)

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"registry": self.public_url}
