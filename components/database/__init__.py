"""Slot ``database``: a PostgreSQL server in which each consumer gets its own role and database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class DatabaseAccess:
    """One consumer's database. ``resource`` is complete once the database exists."""

    host: str
    port: int
    name: str
    user: str
    password: pulumi.Output[str]
    resource: pulumi.Resource

    def url(self, scheme: str = "postgresql") -> pulumi.Output[str]:
        """Return the connection URL with the password in it, a secret."""
        return self.password.apply(
            lambda password: f"{scheme}://{self.user}:{quote(password, safe='')}@{self.host}:{self.port}/{self.name}"
        )


@dataclass(frozen=True)
class DatabaseOutputs(SlotOutputs):
    """What the slot gives: ``provision(name, consumer)`` makes one consumer's own role and database."""

    provision: Callable[[str, pulumi.Resource], DatabaseAccess]
    port: int

    def ports(self) -> tuple[int, ...]:
        """Return the server's port."""
        return (self.port,)
