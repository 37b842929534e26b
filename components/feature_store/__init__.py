"""Slot ``feature_store``: features for training at a point in time, and online for serving."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs
from components.database import DatabaseAccess


@dataclass(frozen=True)
class FeatureStoreOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        url: Where online features are asked for, through the gateway.
        project: The Feast project that projects apply their features to.
        database: Where its registry, offline store, and online store live, each in a schema of its own.
    """

    url: str
    project: str
    database: DatabaseAccess

    def ports(self) -> tuple[int, ...]:
        """Return the port of the database that clients read features from."""
        return (self.database.port,)

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"feature_store": self.url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return what a Feast client's ``feature_store.yaml`` needs."""
        return {
            "FEATURE_STORE_PROJECT": self.project,
            "FEATURE_STORE_HOST": self.database.host,
            "FEATURE_STORE_PORT": str(self.database.port),
            "FEATURE_STORE_DATABASE": self.database.name,
            "FEATURE_STORE_USER": self.database.user,
            "FEATURE_STORE_PASSWORD": self.database.password,
        }
