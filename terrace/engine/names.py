"""URNs: giving each resource its own, and finding resources that had another name before."""

from __future__ import annotations

from terrace.engine.errors import StepError
from terrace.engine.goal import Alias, Goal
from terrace.engine.state import ROOT_TYPE, Resource, make_urn, name_of, qualified_type, type_of


class Names:
    """The URNs of one operation.

    Args:
        stack: The stack's name.
        project: The project's name.
        resources: The stored resources.
    """

    def __init__(self, stack: str, project: str, resources: list[Resource]) -> None:
        self._stack = stack
        self._project = project
        self._olds = {resource.urn: resource for resource in resources if not resource.delete}
        self._seen: set[str] = set()
        self._old_of: dict[str, str] = {}  # new URN → the alias that matched
        self._new_of: dict[str, str] = {}  # the alias that matched → new URN

    def register(self, goal: Goal) -> tuple[str, Resource | None]:
        """The goal's URN and the stored resource that it continues.

        Raises:
            StepError: Two resources have the same name, or claim the same old one.
        """
        urn = self.urn(goal)
        if urn in self._seen:
            raise StepError("two resources have this name", where=urn, fix="give one of them another name or parent")
        self._seen.add(urn)
        if urn in self._new_of:
            raise StepError(f"{self._new_of[urn]} claims to have been this resource", where=urn, fix="remove the alias")
        for candidate in (urn, *self._aliases(goal)):
            if (old := self._olds.get(candidate)) is not None:
                if candidate != urn:
                    self._claim(candidate, urn)
                return urn, old
        return urn, None

    def urn(self, goal: Goal) -> str:
        """The goal's URN."""
        return make_urn(self._stack, self._project, goal.parent, goal.type, goal.name)

    def stored(self, urn: str) -> Resource | None:
        """The stored resource that a registered one continues."""
        return self._olds.get(self._old_of.get(urn, urn))

    def was_seen(self, urn: str) -> bool:
        """Whether the program registered this resource, under this name or a newer one."""
        return urn in self._seen or urn in self._new_of

    def current(self, urn: str) -> str:
        """The resource's name in this operation."""
        return self._new_of.get(urn, urn)

    def _claim(self, old: str, new: str) -> None:
        other = self._new_of.get(old) or (old if old in self._seen else None)
        if other is not None:
            raise StepError(f"its alias {old} is taken by {other}", where=new, fix="remove one of the aliases")
        self._new_of[old] = new
        self._old_of[new] = old

    def _aliases(self, goal: Goal) -> list[str]:
        own = [self._collapse(goal, alias) for alias in goal.aliases]
        parent = self._old_of.get(goal.parent)
        if parent is None:
            return own
        inherited = [self._inherit(goal.type, goal.name, goal.parent, parent)]
        inherited += [self._inherit(type_of(urn), name_of(urn), goal.parent, parent) for urn in own]
        return [*own, *inherited]

    def _collapse(self, goal: Goal, alias: Alias) -> str:
        if alias.urn:
            return alias.urn
        parent = self._old_of.get(alias.parent, alias.parent) if alias.parent else goal.parent
        if alias.no_parent or qualified_type(parent) == ROOT_TYPE:
            parent = ""
        return make_urn(
            alias.stack or self._stack,
            alias.project or self._project,
            parent,
            alias.type or goal.type,
            alias.name or goal.name,
        )

    def _inherit(self, type_: str, name: str, parent: str, old_parent: str) -> str:
        """The name that a child had under its parent's old name; ``<parent>-x`` was renamed with the parent."""
        parent_name = name_of(parent)
        if name.startswith(parent_name):
            name = name_of(old_parent) + name[len(parent_name) :]
        return make_urn(self._stack, self._project, old_parent, type_, name)
