"""On which nodes pods are: what the spec says of pools and accelerators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from terrace.spec_kubernetes import Kubernetes, Placed
from terrace.workload import Process


@dataclass(frozen=True)
class Nodes:
    """On which nodes a slot's pods may be, and what of them its process that computes gets.

    Args:
        labels: Labels that the nodes have.
        tolerated: Keys of the taints that keep other pods away.
        accelerators: How many accelerators it gets.
        accelerator: What the cluster calls these.
    """

    labels: Mapping[str, str]
    tolerated: tuple[str, ...]
    accelerators: int
    accelerator: str

    @classmethod
    def of(cls, spec: Kubernetes, slot: str) -> Nodes:
        """Return what the spec says of a slot."""
        placed = spec.placed.get(slot, Placed())
        pool = spec.pools[placed.pool] if placed.pool else None
        # Nodes with accelerators are commonly kept for pods that ask for these, by a taint of their name.
        own = (spec.accelerator,) if placed.accelerators else ()
        tolerated = dict.fromkeys((*(pool.tolerates if pool else ()), *own))
        return cls(pool.labels if pool else {}, tuple(tolerated), placed.accelerators, spec.accelerator)

    def placement(self) -> dict[str, Any]:
        """Return the parts of a pod's ``spec`` that say where it may be."""
        tolerations = [{"key": key, "operator": "Exists"} for key in self.tolerated]
        return {
            **({"nodeSelector": dict(self.labels)} if self.labels else {}),
            **({"tolerations": tolerations} if tolerations else {}),
        }

    def limits(self, process: Process) -> dict[str, str]:
        """Return what a process takes of devices."""
        return {self.accelerator: str(self.accelerators)} if process.computes and self.accelerators else {}
