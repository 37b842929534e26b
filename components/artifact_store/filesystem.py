"""A folder of the host as the artifact store.

Provides each consumer with a folder that its system user alone may read. Versions come from the consumers, which never
write to the same place twice: MLflow keeps a folder per run, DVC one per content hash. Leaves out quotas and
copies to a second place.

Upstream: https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/, written for MLflow 3.17.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.base import Component, FlavorSpec, Inputs
from terrace.targets.host import HostTarget


class FilesystemSpec(FlavorSpec):
    """Options of the artifact folder."""

    flavor: Literal["filesystem"] = "filesystem"
    folder: str | None = Field(
        None,
        pattern=r"^/[\w./-]+$",
        description="Where artifacts are kept; by default `artifacts` under the environment's data folder.",
    )


class Filesystem(Component[FilesystemSpec, ArtifactStoreOutputs]):
    """A folder on the host."""

    token: ClassVar[str] = "terrace:artifact_store:Filesystem"
    spec_type: ClassVar[type[FlavorSpec]] = FilesystemSpec
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: FilesystemSpec, inputs: Inputs) -> ArtifactStoreOutputs:
        """Return a way to get a folder in the store."""
        target = self.on(HostTarget)
        root = spec.folder or target.data_folder("artifacts")

        def provision(name: str, owner: str, consumer: pulumi.Resource) -> Store:
            folder = f"{root}/{name}"
            store = target.role(
                "artifact_folder",
                name,
                {"artifact_folder_path": folder, "artifact_folder_owner": owner},
                parent=consumer,
            )
            return Store(folder, store)

        return ArtifactStoreOutputs(provision)
