"""A DVC remote in the artifact store, served by the gateway.

Provides DVC's HTTP remote (``method: PUT``) behind the gateway's account. What is stored is named by its content
and can be added, never changed or deleted. Leaves out garbage collection: projects share the remote, and DVC's removes
what the one at hand doesn't name, so an operator does it for all of them (docs/operations.md).

Upstream: https://dvc.org/doc/user-guide/data-management/remote-storage/http, written for DVC 3.67.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs
from components.base import Component, FlavorSpec, Inputs
from components.data_versioning import DataVersioningOutputs
from components.gateway import GatewayOutputs
from terrace.targets.base import Service
from terrace.targets.host import HostTarget, gateway_acts, gateway_needs
from terrace.workload import READING, Act, Need

PATH = "/dvc/"
SLOT = "data_versioning"
NEEDS = (Need("read", READING), Need("edit", ("PUT",)))
ACTS = (Act(rf"(?:GET|HEAD) {PATH}(.*)", "read_data"), Act(rf"PUT {PATH}(.*)", "write_data"))


class DVCSpec(FlavorSpec):
    """Options of the remote."""

    flavor: Literal["dvc"] = "dvc"
    upload_mb: int = Field(4096, ge=1, description="Largest file (MiB) that can be stored.")


class DVC(Component[DVCSpec, DataVersioningOutputs]):
    """A DVC remote."""

    token: ClassVar[str] = "terrace:data_versioning:DVC"
    spec_type: ClassVar[type[FlavorSpec]] = DVCSpec
    requires: ClassVar[tuple[str, ...]] = ("artifact_store", "gateway")
    beside: ClassVar[str] = "gateway"
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: DVCSpec, inputs: Inputs) -> DataVersioningOutputs:
        """Make the folder, owned by the gateway's user, and the route to it."""
        target = self.on(HostTarget)
        gateway = inputs.of("gateway", GatewayOutputs)
        store = inputs.of("artifact_store", ArtifactStoreOutputs).provision("dvc", gateway.service, self)
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
        url = gateway.url + PATH
        target.services.append(Service("data_versioning", spec.flavor, "dvc", url, f"{url}healthz", gateway.port))
        return DataVersioningOutputs(url)
