"""What the program is told by its environment variables, and the folders that follow from it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """The program's settings.

    Args:
        alias: The registry alias that deploys a version (``MODEL_SYNC_ALIAS``).
        candidate: The alias of the version that is served beside it (``MODEL_SYNC_CANDIDATE``).
        interval: Seconds between two looks at the registry (``MODEL_SYNC_INTERVAL``).
        retry: Seconds until a failed version is tried again (``MODEL_SYNC_RETRY``).
        data: Folder of its own (``MODEL_SYNC_DATA``).
        lock: MLServer's hash-locked requirements (``MODEL_SYNC_LOCK``).
        owners: The file that says whose the models are (``MODEL_SYNC_OWNERS``).
        port: Loopback port of its metrics and health page (``MODEL_SYNC_PORT``).
        mlserver: Address of MLServer's REST API (``MLSERVER_URL``).
        trusted_types: Types that a model may hold beyond those that skops trusts (``MODEL_SYNC_TRUSTED_TYPES``).
        audit: Address of the audit log, where there is one (``MODEL_SYNC_AUDIT``).
        audit_token: What is shown to it, where it asks for that (``MODEL_SYNC_AUDIT_TOKEN``).
        uv: The program that installs libraries; it is part of MLServer's lock.
    """

    alias: str
    candidate: str
    interval: float
    retry: float
    data: Path
    lock: Path
    owners: Path
    port: int
    mlserver: str
    trusted_types: frozenset[str] = frozenset()
    audit: str = ""
    audit_token: str = field(default="", repr=False)
    uv: Path = field(default_factory=lambda: Path(sys.executable).with_name("uv"))

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings.

        Raises:
            KeyError: A variable without a default is missing.
        """
        return cls(
            alias=environment.get("MODEL_SYNC_ALIAS", "production"),
            candidate=environment.get("MODEL_SYNC_CANDIDATE", "candidate"),
            interval=float(environment.get("MODEL_SYNC_INTERVAL", "5")),
            retry=float(environment.get("MODEL_SYNC_RETRY", "300")),
            data=Path(environment["MODEL_SYNC_DATA"]),
            lock=Path(environment["MODEL_SYNC_LOCK"]),
            owners=Path(environment["MODEL_SYNC_OWNERS"]),
            port=int(environment["MODEL_SYNC_PORT"]),
            mlserver=environment["MLSERVER_URL"].rstrip("/"),
            audit=environment.get("MODEL_SYNC_AUDIT", ""),
            audit_token=environment.get("MODEL_SYNC_AUDIT_TOKEN", ""),
            trusted_types=frozenset(filter(None, environment.get("MODEL_SYNC_TRUSTED_TYPES", "").split(","))),
        )

    @property
    def models(self) -> Path:
        """The folder from which MLServer loads."""
        return self.data / "models"

    @property
    def artifacts(self) -> Path:
        """The versions' files; apart from ``models``, where MLServer would take any settings file for a model."""
        return self.data / "artifacts"

    @property
    def environments(self) -> Path:
        """The models' Python environments."""
        return self.data / "environments"
