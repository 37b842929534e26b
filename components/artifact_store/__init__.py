"""Slot ``artifact_store``: where models, plots, and data sets are kept as files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pulumi

from components.base import SlotOutputs, ports_of


@dataclass(frozen=True)
class Store:
    """One consumer's part of the store.

    Args:
        location: A folder of the host, or ``s3://<bucket>``.
        resource: Complete once it can be written to.
        environment: Variables by which the consumer finds it.
        secrets: Variables by which the consumer may use it.
        outside: Addresses of it outside of the platform.
        to: The ports of the platform that it's reached at: service → port.
    """

    location: str
    resource: pulumi.Resource
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    outside: tuple[str, ...] = ()
    to: Mapping[str, int] = field(default_factory=dict)

    @property
    def bucket(self) -> str:
        """The bucket, where it is in an S3 store."""
        return self.location.removeprefix("s3://").partition("/")[0]

    @property
    def prefix(self) -> str:
        """What names of objects in the bucket begin with: empty, or something with a slash at its end."""
        below = self.location.removeprefix("s3://").partition("/")[2]
        return f"{below}/" if below else ""


@dataclass(frozen=True)
class ArtifactStoreOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        provision: ``provision(name, owner, consumer)`` makes a part of the store that one service owns.
        url: The store's own address; empty where it is a folder.
    """

    provision: Callable[[str, str, pulumi.Resource], Store]
    url: str = ""

    def ports(self) -> tuple[int, ...]:
        """Return the port of ``url``."""
        return ports_of(self.url)
