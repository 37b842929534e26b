"""Slot ``database``: a PostgreSQL server in which each consumer gets its own role and database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class DatabaseAccess:
    """One consumer's database, by one role. ``resource`` is complete once the database exists.

    ``accounts`` is the same database by the further roles that were asked for, by their names.
    """

    host: str
    port: int
    name: str
    user: str
    password: pulumi.Output[str]
    resource: pulumi.Resource
    accounts: Mapping[str, DatabaseAccess] = field(default_factory=dict)

    def url(self, scheme: str = "postgresql") -> pulumi.Output[str]:
        """Return the connection URL with the password in it, a secret."""
        return self.password.apply(
            lambda password: f"{scheme}://{self.user}:{quote(password, safe='')}@{self.host}:{self.port}/{self.name}"
        )


class Provision(Protocol):
    """Makes one consumer's own database, and the role that owns it."""

    def __call__(
        self, name: str, consumer: pulumi.Resource, accounts: Sequence[str] = (), schema: str = ""
    ) -> DatabaseAccess:
        """Return the new database.

        Args:
            name: The name of the database and its owner.
            consumer: The component that it is for.
            accounts: Further roles that may connect; what else they may, the schema grants them.
            schema: SQL that the owner runs each time, so it must be safe to repeat.
        """


@dataclass(frozen=True)
class Server:
    """The server as a whole, for who backs it up: its role ``backup`` may read every database.

    Args:
        service: The service that runs it.
        socket: The folder of its socket, where the system user of the service ``backup`` enters as that role; empty
            where it is entered over the network alone.
        port: Its port, part of the socket's name.
        resource: Complete once it runs.
        passwords: Those of its administrator and of ``backup``, by role, where they come over the network.
    """

    service: str
    socket: str
    port: int
    resource: pulumi.Resource
    passwords: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class DatabaseOutputs(SlotOutputs):
    """What the slot gives: ``provision(name, consumer)`` makes one consumer's own role and database."""

    provision: Provision
    server: Server

    def ports(self) -> tuple[int, ...]:
        """Return the server's port."""
        return (self.server.port,)
