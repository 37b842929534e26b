"""What every target can do."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import pulumi

from terrace.edges import Node
from terrace.masking import input_classes
from terrace.workload import Workload

if TYPE_CHECKING:
    from terrace.resolve import Blueprint


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
    url: str
    probe_url: str
    probe_port: int
    host: str = ""


class Target(abc.ABC):
    """Realises workloads. One instance per platform; it also collects what it was asked to run.

    Args:
        blueprint: The platform.
        facts: What every project is told of the platform, as environment variables.
    """

    name: ClassVar[str]

    def __init__(self, blueprint: Blueprint, facts: Mapping[str, str]) -> None:
        self.blueprint = blueprint
        self.environment = blueprint.environment
        self.input_classes = input_classes(blueprint.spec.use_cases)
        self.facts = facts
        self.services: list[Service] = []
        self.workloads: list[Workload] = []

    @property
    def ca_file(self) -> str:
        """Where every service finds the certificate of the environment's own authority."""
        return f"/etc/terrace/{self.environment}/ca.crt"

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

    def address(self, workload: Workload, port: str) -> str:
        """Return ``http://…`` for other workloads of the platform to reach ``port`` of ``workload``."""
        return f"http://{self.host_of(workload.name)}:{workload.port(port)}"

    def audit_token(self, _source: str, /) -> pulumi.Output[str] | None:
        """Return what a service shows when it tells the audit log something; None where the log knows it without."""
        return None

    @abc.abstractmethod
    def listed_services(self) -> list[dict[str, Any]]:
        """Return the platform's services so far, as stack outputs."""

    @abc.abstractmethod
    def host_of(self, service: str, /) -> str:
        """Return the name or address by which other workloads reach ``service``."""

    @property
    @abc.abstractmethod
    def peers(self) -> str:
        """Where requests of other workloads come from, as uvicorn's ``--forwarded-allow-ips`` has it."""


class Targets(abc.ABC):
    """All that a platform runs on: its hosts, a target for each, or a cluster.

    Attributes:
        facts: What every project is told of the platform, as environment variables.
    """

    facts: Mapping[str, str]

    @abc.abstractmethod
    def of(self, slot: str) -> Target:
        """Return the target that ``slot`` is on."""

    @abc.abstractmethod
    def close(self, nodes: Mapping[str, Node] | Exception) -> None:
        """Take note that all workloads are declared, and how slots connect to each other; or why that failed.

        Args:
            nodes: Every slot as edges see it.
        """

    @abc.abstractmethod
    def listed(self) -> list[dict[str, Any]]:
        """Return the services as stack outputs."""

    @abc.abstractmethod
    def exports(self) -> Mapping[str, pulumi.Input[Any]]:
        """Return what this kind of target alone has as stack outputs."""
