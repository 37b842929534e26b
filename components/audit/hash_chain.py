"""An audit log as a chain of sealed records, written by one small service.

Provides an append-only log of who did what: requests through the gateway by person, what Terrace's commands did, each
record sealed by a key and chained to the one before, so that what is changed, removed, reordered, or cut off at the end
shows; with retention, verification, metrics, and alerts. Leaves out requests that reach services past the gateway, what
people do on the machine itself, and proof against somebody who holds the key and every copy of the log.

Upstream: this project, ``components/audit/programs/audit_log``, on Python's own HTTP server (3.11 or later).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.audit import AuditOutputs, AuditSpec
from components.base import Account, Component, FlavorSpec, Inputs
from components.gateway import AUDIT_TOKEN, GatewayOutputs
from components.programs import program_files
from terrace.password import Password
from terrace.targets.base import Service, Target
from terrace.targets.host import HostTarget
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import READING, Act, Artifact, Metrics, Need, Port, Probe, Process, Route, Workload

PATH = "/audit/"
ACCOUNT = "seal"


class HashChainSpec(AuditSpec):
    """Options of the audit log."""

    flavor: Literal["hash_chain"] = "hash_chain"
    volume_gb: int = Field(20, ge=1, description="Size (GiB) of its volume, on Kubernetes.")
    retention_days: int = Field(365, ge=30, le=3660, description="How long records are kept (days).")
    verify_minutes: int = Field(
        60,
        ge=1,
        le=1440,
        description="Time between two verifications of the whole log (minutes); files that somebody else touched are "
        "verified at once.",
    )


class HashChain(Component[HashChainSpec, AuditOutputs]):
    """The log's writer."""

    token: ClassVar[str] = "terrace:audit:HashChain"
    spec_type: ClassVar[type[FlavorSpec]] = HashChainSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway",)
    connects: ClassVar[tuple[str, ...]] = ()  # it is told, and asks nobody
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: HashChainSpec, inputs: Inputs) -> AuditOutputs:
        """Run the writer; services find it by the target."""
        key = Account(ACCOUNT, Password("audit-seal", self).value)
        sources = _on_host(self.target) if isinstance(self.target, HostTarget) else self._in_cluster()
        workload = _workload(spec, self.target, key, sources)
        self.target.run(workload, self)
        url = inputs.of("gateway", GatewayOutputs).url + PATH
        probe = self.target.address(workload, "http") + "/health"
        self.target.services.append(Service("audit", spec.flavor, workload.name, url, probe, spec.port))
        return AuditOutputs(url, self.target.host_of(workload.name), spec.port, key)

    def _in_cluster(self) -> _Sources:
        return _Sources(secrets={"AUDIT_SOURCE_KEY": self.on(KubernetesTarget).audit_key}, shown=AUDIT_TOKEN)


@dataclass(frozen=True)
class _Sources:
    """How the log knows who tells it something: by names that the kernel knows, or by tokens.

    ``shown`` is the gateway's file with its own token.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    shown: str = ""


def _on_host(target: HostTarget) -> _Sources:
    places = target.blueprint.places
    elsewhere = {"AUDIT_GATEWAY_HOST": places["gateway"]} if places["gateway"] != places["audit"] else {}
    return _Sources({"AUDIT_SOURCES": ",".join(target.audit_sources), **elsewhere})


def _workload(spec: HashChainSpec, target: Target, key: Account, sources: _Sources) -> Workload:
    return Workload(
        name="audit",
        artifact=Artifact(),
        processes=(Process("writer", ("$(PYTHON)", "-m", "audit_log"), memory_mb=512),),
        ports=(Port("http", spec.port),),
        files=program_files("audit", "audit_log"),
        environment={
            "PYTHONPATH": "$(CONFIG)",
            "AUDIT_ENVIRONMENT": target.environment,
            "AUDIT_FOLDER": "$(DATA)",
            "AUDIT_PORT": str(spec.port),
            "AUDIT_RETENTION_DAYS": str(spec.retention_days),
            "AUDIT_VERIFY_MINUTES": str(spec.verify_minutes),
            **sources.environment,
        },
        secrets={"AUDIT_KEY": key.password, **sources.secrets},
        probe=Probe("http", "/health", timeout_seconds=30),
        routes=(
            Route(
                PATH,
                "http",
                auth="gateway",
                slot="audit",
                # What none fits is for the platform's own account: Terrace's commands send what they did by it.
                needs=(Need("read", READING),),
                hidden=("metrics",),
                reads=True,
                shows=sources.shown,
                acts=(Act(f"POST {PATH}events", ""),),
            ),
        ),
        metrics=(Metrics("http"),),
        grows=True,
        volume_gb=spec.volume_gb,
    )
