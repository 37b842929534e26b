"""Who needs whom, from the stored state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container, Iterable

from terrace.engine.state import Resource


class Graph:
    """The dependencies of resources that stand in an order in which everything comes after what it needs."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = list(resources)
        self._index = {resource: index for index, resource in enumerate(self._resources)}
        self._by_urn: dict[str, list[int]] = defaultdict(list)
        self._children: dict[str, list[int]] = defaultdict(list)
        for index, resource in enumerate(self._resources):
            self._by_urn[resource.urn].append(index)
            if resource.parent:
                self._children[resource.parent].append(index)

    def needs(self, resource: Resource) -> set[Resource]:
        """What a resource needs directly: dependencies, provider and parent, and the parts of components among them."""
        limit = self._index[resource]
        found: set[int] = set()
        for urn in resource.references():
            for index in self._before(urn, limit):
                found.add(index)
                if not self._resources[index].custom:
                    found.update(self._parts(urn, limit))
        if resource.parent:
            found.update(self._before(resource.parent, limit))
        return {self._resources[index] for index in found}

    def dependents(self, root: Resource, ignore: Collection[str]) -> list[Resource]:
        """Everything that directly or indirectly refers to ``root``, in order. Children don't count as dependents."""
        wanted = {root.urn}
        found = []
        for resource in self._resources[self._index[root] + 1 :]:
            if resource.urn not in ignore and any(urn in wanted for urn in resource.references()):
                wanted.add(resource.urn)
                found.append(resource)
        return found

    def with_dependents(self, roots: Container[str]) -> set[Resource]:
        """The resources of these URNs, and everything that directly or indirectly needs them, children too."""
        wanted: set[str] = set()
        found = set()
        for resource in self._resources:
            if resource.urn in roots or any(urn in wanted for urn in resource.needs()):
                wanted.add(resource.urn)
                found.add(resource)
        return found

    def all_needs(self, resource: Resource) -> set[Resource]:
        """What a resource needs directly or indirectly."""
        found: set[Resource] = set()
        open_ = [resource]
        while open_:
            for needed in self.needs(open_.pop()) - found:
                found.add(needed)
                open_.append(needed)
        return found

    def all_needs_in_order(self, resource: Resource) -> list[Resource]:
        """The same, in the order of the state."""
        return sorted(self.all_needs(resource), key=self._index.__getitem__)

    def deletion_rounds(self, condemned: Iterable[Resource]) -> list[list[Resource]]:
        """In which rounds to delete: each round needs nothing that is deleted before it, and can go in parallel."""
        waiting = set(condemned)
        rounds: list[list[Resource]] = []
        needs = {resource: self.needs(resource) & waiting for resource in waiting}
        level: dict[Resource, int] = {}
        for resource in sorted(waiting, key=self._index.__getitem__):
            level[resource] = 1 + max((level[needed] for needed in needs[resource]), default=-1)
        for resource in sorted(waiting, key=self._index.__getitem__):
            while len(rounds) <= level[resource]:
                rounds.append([])
            rounds[level[resource]].append(resource)
        return rounds[::-1]

    def __contains__(self, resource: Resource) -> bool:
        return resource in self._index

    def _before(self, urn: str, limit: int) -> list[int]:
        return [index for index in self._by_urn.get(urn, ()) if index < limit]

    def _parts(self, urn: str, limit: int) -> set[int]:
        found: set[int] = set()
        open_ = [urn]
        while open_:
            for index in self._children.get(open_.pop(), ()):
                if index < limit and index not in found:
                    found.add(index)
                    open_.append(self._resources[index].urn)
        return found
