"""Targets: where a platform runs, and how a workload is realised there."""

from __future__ import annotations

from terrace.targets.base import Service, Target, Targets

__all__ = ["Service", "Target", "Targets"]
