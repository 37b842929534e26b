"""Which resources an operation works on: everything, or what ``--target`` and ``--replace`` name."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from terrace.engine.errors import StepError
from terrace.engine.graph import Graph
from terrace.engine.options import Options, Urns
from terrace.engine.state import PROVIDER_PREFIX, ROOT_TYPE, Resource


class Targets:
    """The resources that an operation works on. It sees them in the order in which the program registers them."""

    def __init__(self, options: Options) -> None:
        self._targets = Urns(options.targets)
        self._replaced = Urns(options.replace)
        self._with_dependents = options.target_dependents
        self._dependents: set[str] = set()
        self._left_out: set[str] = set()

    def includes(self, resource: Resource) -> bool:
        """Whether to work on it. Providers and the stack itself always are."""
        if not self._targets or resource.type == ROOT_TYPE or resource.type.startswith(PROVIDER_PREFIX):
            return True
        if resource.urn in self._targets:
            return True
        if self._with_dependents and any(self._is_target(urn) for urn in resource.needs()):
            self._dependents.add(resource.urn)
            return True
        return False

    def names(self, urn: str) -> bool:
        """Whether the user named it, or nothing."""
        return not self._targets or urn in self._targets

    def must_replace(self, urn: str) -> bool:
        """Whether to replace it even though nothing changed."""
        return urn in self._replaced

    def leave_out(self, urn: str) -> None:
        """Note a resource that isn't created, so that nothing that needs it is."""
        self._left_out.add(urn)

    def require_needs(self, resource: Resource) -> None:
        """Check that everything that a resource needs is there, or is created.

        Raises:
            StepError: Something isn't.
        """
        for urn in resource.needs():
            if urn in self._left_out:
                raise StepError(
                    f"it needs {urn}, which would have to be created, but isn't a target",
                    where=resource.urn,
                    fix=f"add --target {urn}",
                )

    def deletable(self, graph: Graph) -> set[Resource] | None:
        """What may be deleted: the targets and what depends on them; None if everything may."""
        return graph.with_dependents(self._targets) if self._targets else None

    def beyond(self, condemned: Iterable[Resource]) -> list[str]:
        """The URNs of what would have to be deleted with the targets, but wasn't named."""
        if not self._targets or self._with_dependents:
            return []
        return [resource.urn for resource in condemned if resource.urn not in self._targets]

    def unknown(self, known: Collection[str]) -> list[str]:
        """The targets that are no resources."""
        return [urn for urns in (self._targets, self._replaced) for urn in urns.names() if urn not in known]

    def _is_target(self, urn: str) -> bool:
        return urn in self._dependents or urn in self._targets
