"""The provider of the package ``kubernetes``, in this process: Kubernetes objects by server-side apply.

It does what Pulumi's own provider (pulumi-kubernetes 4.34) does, and keeps the same state, so that either can go on
where the other stopped. Deliberately left out: client-side apply, rendering to a folder, the package's functions, and
its remote components (charts and files). Programs that ask for those are refused by name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from terrace.engine.provider import Provider, Values

PACKAGE = "kubernetes"


class Kubernetes:
    """Opens the providers of the package; Kubernetes' client is imported by the first."""

    def __call__(self, configuration: Values) -> Provider:
        """The provider for one cluster."""
        from terrace.engine.kubernetes.provider import KubernetesProvider

        return KubernetesProvider(configuration)

    def moved(self, old: Values, new: Values) -> tuple[str, ...]:
        """The settings by which another configuration leads to another cluster."""
        from terrace.engine.kubernetes.moving import moved

        return moved(old, new)
