"""Slot ``artifact_store``: where models, plots, and data sets are kept as files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class Store:
    """One consumer's part of the store. ``resource`` is complete once it can be written to."""

    folder: str
    resource: pulumi.Resource


@dataclass(frozen=True)
class ArtifactStoreOutputs(SlotOutputs):
    """What the slot gives: ``provision(name, owner, consumer)`` makes a part of the store that one service owns."""

    provision: Callable[[str, str, pulumi.Resource], Store]
