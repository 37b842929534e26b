"""The agent's settings, from environment variables that the platform writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .places import Access, Place


@dataclass(frozen=True)
class Settings:
    """What to back up, where to, and when.

    Args:
        environment: The platform's environment.
        service: Name of the agent's own service.
        host: The host whose files it saves beside the databases' host; empty for that one.
        place: The folder that holds the repositories.
        password: What opens the repository.
        data: The agent's own folder.
        at: Local time of day of the nightly backup, ``HH:MM``.
        keep: How many backups stay, by restic's names: ``last``, ``daily``, ``weekly``.
        include: Further files and folders.
        socket: Folder of the PostgreSQL server's socket; empty where the server is on another host.
        database_port: Its port, part of the socket's name.
        database_service: The service that runs it.
        port: TCP port of the metrics on loopback.
        manifests: The folder of the host's manifest.
        configuration: The folder of the services' configuration.
        versions: The folder that says of which version each service's data is.
        software: The folder of the services' software.
    """

    environment: str
    service: str
    host: str
    place: Place
    password: str = field(repr=False)
    data: Path
    at: str
    keep: Mapping[str, int]
    include: tuple[str, ...]
    socket: str
    database_port: int
    database_service: str
    port: int
    manifests: Path
    configuration: Path
    versions: Path
    software: Path

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            KeyError: A variable is missing (a defect of the flavor).
        """
        name = environment["BACKUP_ENVIRONMENT"]
        configuration = Path("/etc/terrace", name)
        return cls(
            environment=name,
            service=environment["BACKUP_SERVICE"],
            host=environment.get("BACKUP_HOST", ""),
            place=Place.parse(environment["BACKUP_PLACE"], _access(environment)),
            password=environment["BACKUP_PASSWORD"],
            data=Path(environment["BACKUP_DATA"]),
            at=environment["BACKUP_AT"],
            keep=json.loads(environment["BACKUP_KEEP"]),
            include=tuple(json.loads(environment.get("BACKUP_INCLUDE", "[]"))),
            socket=environment.get("BACKUP_SOCKET", ""),
            database_port=int(environment.get("BACKUP_DATABASE_PORT", "0")),
            database_service=environment.get("BACKUP_DATABASE_SERVICE", ""),
            port=int(environment["BACKUP_PORT"]),
            manifests=configuration / "manifest.d",
            configuration=configuration,
            versions=Path("/var/lib/terrace", name, "versions"),
            software=Path("/opt/terrace", name),
        )

    @property
    def staging(self) -> Path:
        """Where dumps and the inventory are put for restic to take."""
        return self.data / "staging"

    def user(self, service: str) -> str:
        """Return the system user of a service."""
        return _user(self.environment, service)


def _user(environment: str, service: str) -> str:
    return f"terrace-{environment}-{service}"


def _access(environment: Mapping[str, str]) -> Access | None:
    """Return how to get to the machine of the place; None where that is this one."""
    if "BACKUP_SSH" not in environment:
        return None
    account, name = environment["BACKUP_PLACE"].partition(":")[0], environment["BACKUP_ENVIRONMENT"]
    return Access(account, Path(environment["BACKUP_SSH"]), _user(name, environment["BACKUP_SERVICE"]), name)
