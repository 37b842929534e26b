"""Which container image each part of the platform runs in, by its whole address and, once locked, its digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from terrace.errors import InputError
from terrace.images import lock
from terrace.images.own import OwnImage
from terrace.images.reference import Reference
from terrace.images.table import ImageTable
from terrace.workload import Artifact

BASE = "python"
# Where own images are without a registry: no cluster ever asks anybody else for these.
NO_REGISTRY = "localhost"


@dataclass(frozen=True)
class Images:
    """The images as one environment's clusters see them.

    Args:
        registry: The spec's `network.image_registry`, which has a copy of every image; empty where there is none.
        digests: ``repository:tag`` → digest, repositories without `registry`; None where nothing is locked.
        table: The list of images.
    """

    registry: str
    digests: Mapping[str, str] | None
    table: ImageTable

    @staticmethod
    def load(registry: str | None, lock_file: Path = lock.LOCK) -> Images:
        """Return the images for an environment whose spec says ``network.image_registry: registry``.

        Raises:
            InputErrors: The lock can't be read.
        """
        return Images(registry or "", lock.read(lock_file), ImageTable.load())

    def reference(self, artifact: Artifact) -> str:
        """Return the image that a workload with ``artifact`` runs in, as a cluster is to pull it.

        It is ``name@sha256:…`` once images are locked, and ``name:tag`` before that. An artifact without any software
        runs in the image ``python``.

        Raises:
            InputError: Images are locked, this one isn't.
            ValueError: The artifact has software for hosts alone (a defect of the flavor).
        """
        if artifact.image:
            return self.upstream(artifact.image)
        if artifact.packages:
            raise ValueError(f"Debian packages are for hosts, and no image stands beside them: {artifact}")
        return self.own(artifact.lock) if artifact.lock else self.upstream(BASE)

    def upstream(self, name: str) -> str:
        """Return an image that others publish, as a cluster is to pull it, by its name in the list.

        Raises:
            InputError: Images are locked, this one isn't.
            KeyError: There is no such image (a defect of the flavor).
        """
        return str(self.placed(self._locked(self.table.upstream[name].reference, "lock")))

    def own(self, name: str) -> str:
        """Return an image that is built here, as a cluster is to pull it, by its lock's name.

        Raises:
            InputError: Images are locked, this one isn't.
            ValueError: No image is made of that lock (a defect of the flavor).
        """
        image = self.own_image(name).reference
        # What was put on a node by hand has no digest that a registry knows.
        return str(self.placed(self._locked(image, "build --push") if self.registry else image))

    def own_image(self, name: str) -> OwnImage:
        """Return an image that is built here, by its lock's name.

        Raises:
            ValueError: No image is made of that lock (a defect of the flavor).
        """
        if name not in self.table.own:
            raise ValueError(f"components/images.yaml has no {name!r} among its own images")
        return OwnImage(name, lock.pinned(self.table.upstream[BASE].reference, self.digests or {}))

    def placed(self, reference: Reference) -> Reference:
        """Return ``reference`` where this environment has it."""
        if self.registry:
            return reference.below(self.registry)
        return reference if "." in reference.host else reference.below(NO_REGISTRY)

    def _locked(self, reference: Reference, command: str) -> Reference:
        found = lock.pinned(reference, self.digests or {})
        if self.digests is None or found.digest:
            return found
        raise InputError(
            f"there is no digest of {reference.tagged}",
            where=f"components/{lock.LOCK.name}",
            why="images are locked, and this one was added or has changed since",
            fix=f"terrace images {command}",
        )
