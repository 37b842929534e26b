"""A DVC remote in the artifact store, served by the gateway; on Kubernetes by a small program before the S3 store.

Provides DVC's HTTP remote (``method: PUT``) behind the gateway's account. What is stored is named by its content
and can be added, never changed or deleted. Leaves out garbage collection: projects share the remote, and DVC's removes
what the one at hand doesn't name, so an operator does it for all of them (docs/operations.md).

Upstream: https://dvc.org/doc/user-guide/data-management/remote-storage/http, written for DVC 3.67.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.base import Component, FlavorSpec, Inputs, ReplicatedSpec
from components.data_versioning import DataVersioningOutputs
from components.gateway import GatewayOutputs
from components.programs import program_files
from terrace.targets.base import Service
from terrace.targets.host import HostTarget, gateway_acts, gateway_needs
from terrace.workload import READING, Act, Artifact, Metrics, Need, Port, Probe, Process, Route, Workload

PATH = "/dvc/"
SLOT = "data_versioning"
NEEDS = (Need("read", READING), Need("edit", ("PUT",)))
ACTS = (Act(rf"(?:GET|HEAD) {PATH}(.*)", "read_data"), Act(rf"PUT {PATH}(.*)", "write_data"))


class DVCSpec(ReplicatedSpec):
    """Options of the remote."""

    flavor: Literal["dvc"] = "dvc"
    upload_mb: int = Field(4096, ge=1, description="Largest file (MiB) that can be stored.")
    port: int = Field(15040, ge=1024, le=65535, description="TCP port of the program on Kubernetes.")


class DVC(Component[DVCSpec, DataVersioningOutputs]):
    """A DVC remote."""

    token: ClassVar[str] = "terrace:data_versioning:DVC"
    spec_type: ClassVar[type[FlavorSpec]] = DVCSpec
    requires: ClassVar[tuple[str, ...]] = ("artifact_store", "gateway")
    beside: ClassVar[str] = "gateway"
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: DVCSpec, inputs: Inputs) -> DataVersioningOutputs:
        """Make a part of the store, and the route to it."""
        gateway = inputs.of("gateway", GatewayOutputs)
        store = inputs.of("artifact_store", ArtifactStoreOutputs).provision("dvc", gateway.service, self)
        if isinstance(self.target, HostTarget):
            probe, port = self.on_host(spec, gateway, store)
        else:
            probe, port = self.on_kubernetes(spec, store)
        url = gateway.url + PATH
        self.target.services.append(Service(SLOT, spec.flavor, "dvc", url, probe, port))
        return DataVersioningOutputs(url)

    def on_host(self, spec: DVCSpec, gateway: GatewayOutputs, store: Store) -> tuple[str, int]:
        """Have the gateway serve the folder, which its user owns."""
        target = self.on(HostTarget)
        target.role(
            "gateway_folder",
            "dvc",
            {
                "gateway_folder_route": PATH,
                "gateway_folder_path": store.location,
                "gateway_folder_slot": SLOT,
                "gateway_folder_needs": gateway_needs(PATH, NEEDS),
                "gateway_folder_acts": gateway_acts(PATH, SLOT, ACTS, reads=True),
                "gateway_folder_upload_mb": spec.upload_mb,
            },
            parent=self,
            after=[store.resource],
        )
        return f"{gateway.url}{PATH}healthz", gateway.port

    def on_kubernetes(self, spec: DVCSpec, store: Store) -> tuple[str, int]:
        """Run the program that serves the bucket."""
        workload = _workload(spec, store)
        self.target.run(workload, self, after=[store.resource])
        return self.target.address(workload, "http") + "/health", spec.port


def _workload(spec: DVCSpec, store: Store) -> Workload:
    return Workload(
        name="dvc",
        replicas=spec.replicas,
        artifact=Artifact(lock="s3"),
        processes=(Process("remote", ("$(BIN)/python", "$(CONFIG)/dvc_remote.py"), memory_mb=512),),
        ports=(Port("http", spec.port),),
        files=program_files(SLOT, "dvc_remote.py"),
        environment={
            **store.environment,
            "BUCKET": store.bucket,
            "BUCKET_PREFIX": store.prefix,
            "PORT": str(spec.port),
        },
        secrets=store.secrets,
        probe=Probe("http", "/health", timeout_seconds=30),
        routes=(
            Route(
                PATH,
                "http",
                auth="gateway",
                slot=SLOT,
                needs=NEEDS,
                body_mb=spec.upload_mb,
                hidden=("metrics",),
                reads=True,
                acts=ACTS,
            ),
        ),
        metrics=(Metrics("http"),),
        unsaved=(".",),  # what it keeps lies in the store
        outside=store.outside,
    )
