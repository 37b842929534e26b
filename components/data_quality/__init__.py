"""Slot ``data_quality``: what keeps a bad batch of data from training."""

from __future__ import annotations

from dataclasses import dataclass

from components.base import SlotOutputs


@dataclass(frozen=True)
class DataQualityOutputs(SlotOutputs):
    """What the slot gives: the names of the steps without which no pipeline is accepted."""

    required_steps: tuple[str, ...]
