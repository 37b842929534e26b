"""What the service is told, by environment variables."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

PREFIX = "terrace-"


@dataclass(frozen=True)
class Settings:
    """The service's settings.

    Args:
        environment: The environment, ``AUDIT_ENVIRONMENT``.
        folder: Where the logs lie, a folder for each key, ``AUDIT_FOLDER``.
        key: What records are sealed with, ``AUDIT_KEY``.
        port: The TCP port on loopback, ``AUDIT_PORT``.
        retention_days: How long records are kept, ``AUDIT_RETENTION_DAYS``.
        verify_seconds: Time between two verifications of the whole log, ``AUDIT_VERIFY_MINUTES`` times 60.
    """

    environment: str
    folder: Path
    key: bytes = field(repr=False)
    port: int
    retention_days: int
    verify_seconds: int

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Settings:
        """Read them."""
        return cls(
            variables["AUDIT_ENVIRONMENT"],
            Path(variables["AUDIT_FOLDER"]),
            variables["AUDIT_KEY"].encode(),
            int(variables["AUDIT_PORT"]),
            int(variables["AUDIT_RETENTION_DAYS"]),
            int(variables["AUDIT_VERIFY_MINUTES"]) * 60,
        )

    def source(self, uid: int | None) -> str | None:
        """Return what a user of the machine is called as a source of events; None for one that is none.

        Sources are the environment's services, by their names, and ``root``.
        """
        if uid == 0:
            return "root"
        try:
            name = pwd.getpwuid(uid).pw_name if uid is not None else ""
        except KeyError:
            return None
        own = f"{PREFIX}{self.environment}-"
        return name.removeprefix(own) if name.startswith(own) else None
