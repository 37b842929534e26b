"""What every target can do."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pulumi

from terrace.edges import Listener
from terrace.workload import Workload


@dataclass(frozen=True)
class Service:
    """A running service as `status` and people see it.

    Args:
        slot: The slot that it belongs to.
        flavor: The flavor that made it.
        name: Unique within the environment.
        url: Where a person or program of the team reaches it.
        probe_url: Where its health is asked, ``http(s)://`` or ``postgresql://``; empty when only ``probe_port`` is
            tried.
        probe_port: The TCP port that it listens on.
        host: Name of the host that it runs on; empty where there is one.
    """

    slot: str
    flavor: str
    name: str
    url: pulumi.Input[str]
    probe_url: str
    probe_port: int
    host: str = ""


class Target(abc.ABC):
    """Realises workloads. One instance per platform; it also collects what it was asked to run.

    Args:
        facts: What every project is told of the platform, as environment variables.
    """

    name: ClassVar[str]

    def __init__(self, facts: Mapping[str, str]) -> None:
        self.facts = facts
        self.services: list[Service] = []
        self.workloads: list[Workload] = []

    @abc.abstractmethod
    def run(
        self, workload: Workload, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.Resource:
        """Keep ``workload`` running.

        Args:
            workload: What to run.
            parent: The component that it belongs to.
            after: Resources that must be complete before it starts.
        """

    @abc.abstractmethod
    def close(self, listeners: tuple[Listener, ...] | Exception) -> None:
        """Take note that every workload is declared, and who connects to which port; or why that failed."""

    @abc.abstractmethod
    def address(self, workload: Workload, port: str) -> str:
        """Return ``http://…`` for other workloads of the platform to reach ``port`` of ``workload``."""
