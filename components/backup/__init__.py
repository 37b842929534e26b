"""Slot ``backup``: everything that can't be made anew, kept a second time at another place.

On a host the slot's service ships the program ``backup_agent``; ``terrace.backup`` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Account, SlotOutputs


@dataclass(frozen=True)
class BackupOutputs(SlotOutputs):
    """What the slot gives: the account whose password opens the backups. Nothing else does, so it's worth keeping."""

    account: Account
    lets_in: Mapping[str, pulumi.Input[str]]

    def credentials(self) -> Mapping[str, Account]:
        """Return what opens the backups."""
        return {"backup": self.account}

    def public_keys(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the line that the other machine's ``authorized_keys`` needs, where the place is on one."""
        return self.lets_in
