"""The provider itself: objects and Helm releases of one cluster."""

from __future__ import annotations

from terrace.engine.diff import Diff
from terrace.engine.errors import StepError
from terrace.engine.kubernetes import helm
from terrace.engine.kubernetes.access import Access
from terrace.engine.kubernetes.kinds import RELEASE
from terrace.engine.kubernetes.managed import ManagedObjects
from terrace.engine.kubernetes.releases import Releases
from terrace.engine.kubernetes.settings import Settings
from terrace.engine.provider import Failure, Found, Values
from terrace.engine.state import Resource, type_of


class KubernetesProvider:
    """Handles what is in one cluster. Called from several threads.

    Args:
        configuration: The inputs of the provider resource.

    Raises:
        UnsupportedError: The configuration asks for what the embedded engine can't do.
    """

    def __init__(self, configuration: Values) -> None:
        self._settings = Settings.of(configuration)
        self._access = Access(self._settings)
        self._objects = ManagedObjects(self._settings, self._access)
        self._releases = Releases(self._settings)
        self._planned: set[str] = set()

    def check(self, urn: str, old: Values | None, new: Values) -> tuple[Values, list[Failure]]:
        """Name what is wanted, put it into its namespace, and bring it into the form in which it is kept."""
        if type_of(urn) == RELEASE:
            return self._releases.check(urn, old, new, self._access.namespace)
        return self._objects.check(urn, old, new)

    def diff(self, old: Resource, new: Values) -> Diff:
        """Compare what was seen last with what is wanted."""
        return self._releases.diff(old, new) if old.type == RELEASE else self._objects.diff(old, new)

    def create(self, new: Resource) -> tuple[str, Values]:
        """Create, and wait until it is ready."""
        self._access.require()
        return self._releases.create(new) if new.type == RELEASE else self._objects.create(new)

    def update(self, old: Resource, new: Resource) -> Values:
        """Change, and wait until it is ready."""
        self._access.require()
        return self._releases.update(old, new) if new.type == RELEASE else self._objects.update(old, new)

    def read(self, resource: Resource) -> Found:
        """Look at it as it is now; where the cluster is gone on purpose, it is gone too."""
        if self._access.find() is None:
            if self._settings.delete_unreachable:
                return Found("", None, {})
            if self._settings.skip_unreachable:
                return Found(resource.id, resource.inputs, resource.outputs)
        self._access.require()
        return self._releases.read(resource) if resource.type == RELEASE else self._objects.read(resource)

    def delete(self, old: Resource) -> None:
        """Delete, and wait until it is gone."""
        if self._is_forgotten():
            return
        self._access.require()
        if old.type == RELEASE:
            self._releases.delete(old)
        else:
            self._objects.delete(old)

    def preview(self, old: Resource | None, new: Resource | None) -> Values:
        """What would come out. Without ``new``, ``old`` is deleted."""
        resource = new or old
        if resource is not None:
            self._planned.add(resource.type)
            if resource.type == RELEASE:
                return self._releases.preview(new)
        return self._objects.preview(old, new)

    def obstacles(self) -> list[str]:
        """Why what was previewed can't be done now."""
        if not self._planned or self._is_forgotten():
            return []
        found = [str(self._access.problem)] if self._access.problem is not None else []
        if RELEASE in self._planned and not helm.is_installed():
            found.append(str(helm.missing()))
        if refused := self._objects.refused():
            fix = "have a role bound to you that allows it"
            found.append(str(StepError("you may not do what is planned", why="; ".join(refused), fix=fix)))
        return found

    def _is_forgotten(self) -> bool:
        """Whether the cluster is away, and what was in it is to be forgotten."""
        return self._settings.delete_unreachable and self._access.find() is None
