"""Slot ``monitoring``: metrics of every service, and alerts on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import SlotOutputs


@dataclass(frozen=True)
class MonitoringOutputs(SlotOutputs):
    """What the slot gives: where people query metrics and see alerts, behind the gateway's account."""

    metrics_url: str
    alerts_url: str

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public addresses."""
        return {"metrics": self.metrics_url, "alerts": self.alerts_url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the address of Prometheus' query API."""
        return {"PROMETHEUS_URL": self.metrics_url}
