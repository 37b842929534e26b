"""Slot ``audit``: who did what, in a log that shows when it was tampered with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pydantic import Field

from components.base import Account, FlavorSpec, SlotOutputs


class AuditSpec(FlavorSpec):
    """What every flavor's options have: other services send events to its port."""

    port: int = Field(18190, ge=1024, le=65535, description="TCP port to which services send events.")


@dataclass(frozen=True)
class AuditOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        url: Where the log is read, behind the gateway's account.
        host: Where it is for other services.
        port: The port there to which they send what was done.
        key: What its records are sealed with; whoever verifies the log needs it.
    """

    url: str
    host: str
    port: int
    key: Account

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the log's address."""
        return {"audit": self.url}

    def ports(self) -> tuple[int, ...]:
        """Return the port to which services send."""
        return (self.port,)

    def credentials(self) -> Mapping[str, Account]:
        """Return the key."""
        return {"audit": self.key}
