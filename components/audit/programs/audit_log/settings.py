"""What the service is told, by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from . import tokens
from .peers import source_of

LARGEST_BYTES = 16 * 2**20  # of events that are sent at once
LINK = "link"
SOURCE_HEADER, HOST_HEADER = "X-Audit-Source", "X-Audit-Host"  # set by the links of the two hosts


@dataclass(frozen=True)
class Settings:
    """The service's settings.

    Args:
        environment: The environment, ``AUDIT_ENVIRONMENT``.
        folder: Where the logs lie, a folder for each key, ``AUDIT_FOLDER``.
        key: What records are sealed with, ``AUDIT_KEY``.
        port: The TCP port, ``AUDIT_PORT``.
        retention_days: How long records are kept, ``AUDIT_RETENTION_DAYS``.
        sources: The services that may send, on whatever host, ``AUDIT_SOURCES`` with commas between; root may, too.
        verify_seconds: Time between two verifications of the whole log, ``AUDIT_VERIFY_MINUTES`` times 60.
        gateway_host: The host of the gateway, ``AUDIT_GATEWAY_HOST``; empty where it is this one.
        address: The address that it listens on, ``LISTEN``.
        source_key: In a cluster, makes the tokens of all sources, ``AUDIT_SOURCE_KEY``.
    """

    environment: str
    folder: Path
    key: bytes = field(repr=False)
    port: int
    sources: tuple[str, ...]
    retention_days: int
    verify_seconds: int
    gateway_host: str = ""
    address: str = "127.0.0.1"
    source_key: bytes = field(default=b"", repr=False)

    @classmethod
    def read(cls, variables: Mapping[str, str] = os.environ) -> Settings:
        """Read them."""
        return cls(
            variables["AUDIT_ENVIRONMENT"],
            Path(variables["AUDIT_FOLDER"]),
            variables["AUDIT_KEY"].encode(),
            int(variables["AUDIT_PORT"]),
            tuple(variables.get("AUDIT_SOURCES", "").split(",")),
            int(variables["AUDIT_RETENTION_DAYS"]),
            int(variables["AUDIT_VERIFY_MINUTES"]) * 60,
            variables.get("AUDIT_GATEWAY_HOST", ""),
            variables.get("LISTEN", "127.0.0.1"),
            variables.get("AUDIT_SOURCE_KEY", "").encode(),
        )

    def source(self, uid: int | None, headers: Message | Mapping[str, str]) -> str | None:
        """Return who sends; None for who is no source of events.

        What comes from another host comes through this one's link, which says which host it was, and that host's says
        which service. A host speaks for itself alone, so a service there is called ``service@host``; the gateway is the
        gateway where it is placed.
        """
        source = source_of(self.environment, uid)
        if source != LINK:
            return source if self._may_send(source) else None
        service, host = headers.get(SOURCE_HEADER), headers.get(HOST_HEADER)
        if not host or not self._may_send(service):
            return None
        return service if (service, host) == ("gateway", self.gateway_host) else f"{service}@{host}"

    def shown(self, headers: Message | Mapping[str, str]) -> str | None:
        """Return who sends by the token that it shows; None for who is no source of events."""
        return tokens.source_of(self.source_key, headers.get("Authorization") or "")

    def _may_send(self, service: str | None) -> bool:
        return service in (*self.sources, "root")
