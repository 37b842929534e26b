"""A folder of the host as the artifact store.

Provides each consumer with a folder that its system user alone may read. Versions come from the consumers: MLflow keeps
a folder per run and per logged model, DVC one per content hash. Within one run, an artifact that is logged again under
the same name replaces the earlier one. Leaves out quotas and copies to a second place.

Upstream: https://mlflow.org/docs/latest/self-hosting/architecture/artifact-store/, written for MLflow 3.17.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, ClassVar, Literal

import pulumi
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from components.artifact_store import ArtifactStoreOutputs, Store
from components.base import Component, FlavorSpec, Inputs
from terrace.spec_base import AbsolutePath
from terrace.targets.host import HostTarget

SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/root", "/run", "/sbin", "/sys", "/usr")


def _own_folder(path: str) -> str:
    if any(PurePosixPath(path).is_relative_to(folder) for folder in SYSTEM):
        raise PydanticCustomError("folder", "it should be a folder of its own, outside of the system's")
    return path


class FilesystemSpec(FlavorSpec):
    """Options of the artifact folder."""

    flavor: Literal["filesystem"] = "filesystem"
    folder: Annotated[AbsolutePath, AfterValidator(_own_folder)] | None = Field(
        None,
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
            # Beside who uses it, which reads it as a folder.
            place = consumer.on(HostTarget) if isinstance(consumer, Component) else target
            store = place.role(
                "artifact_folder",
                name,
                {"artifact_folder_path": folder, "artifact_folder_owner": owner},
                parent=consumer,
            )
            return Store(folder, store)

        return ArtifactStoreOutputs(provision)
