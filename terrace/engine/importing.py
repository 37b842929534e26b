"""Takes what is there already into a stack, so that its program can go on with it (``pulumi import``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from terrace.engine.action import Action
from terrace.engine.dynamic import PACKAGE as DYNAMIC
from terrace.engine.errors import StepError
from terrace.engine.executor import Executor
from terrace.engine.goal import Goal, default_provider
from terrace.engine.names import Names
from terrace.engine.options import Import
from terrace.engine.program import Run
from terrace.engine.providers import refuse_unsupported
from terrace.engine.state import PROVIDER_PREFIX, ROOT_TYPE, Resource, package_of


class Importer:
    """Imports into one stack.

    Args:
        run: The stack.
        config: Its configuration, secrets marked.
        resources: What the stack has.
        names: Gives URNs.
        executor: Carries out.
        packages: The packages that can be deployed.
    """

    def __init__(
        self,
        run: Run,
        config: Mapping[str, Any],
        resources: Sequence[Resource],
        names: Names,
        executor: Executor,
        packages: frozenset[str],
    ) -> None:
        self._run = run
        self._config = config
        self._there = {resource.urn: resource for resource in resources if not resource.delete}
        self._names = names
        self._executor = executor
        self._packages = packages

    def actions(self, wanted: Sequence[Import]) -> list[Action]:
        """Keep what the stack has, make the stack and default providers where they are missing; return the imports.

        Raises:
            StepError: Something is in the stack already, or its parent or provider isn't.
            UnsupportedError: The embedded engine can't import such a resource.
        """
        refuse_unsupported(((each.type, each.name) for each in wanted), self._packages)
        for each in wanted:
            self._require(each)
        for resource in list(self._there.values()):
            self._executor.run(Action("same", resource, dataclasses.replace(resource)))
        root = self._root()
        return [Action("import", None, self._wanted(each, root)) for each in wanted]

    def _require(self, wanted: Import) -> None:
        if package_of(wanted.type) == DYNAMIC:
            why = "what a dynamic resource is, only the program knows"
            raise StepError(f"{wanted.type} can't be imported", where=wanted.name, why=why)
        for role, urn in (("parent", wanted.parent), ("provider", wanted.provider)):
            if urn and urn not in self._there:
                raise StepError(f"the {role} {urn} isn't in the stack", where=wanted.name)
        if wanted.provider and not self._there[wanted.provider].type.startswith(PROVIDER_PREFIX):
            raise StepError(f"{wanted.provider} is no provider", where=wanted.name)

    def _root(self) -> str:
        for resource in self._there.values():
            if resource.type == ROOT_TYPE:
                return resource.urn
        return self._made(Goal(type=ROOT_TYPE, name=f"{self._run.project}-{self._run.stack}", custom=False)).urn

    def _wanted(self, wanted: Import, root: str) -> Resource:
        goal = Goal(
            type=wanted.type,
            name=wanted.name,
            custom=True,
            parent=wanted.parent or root,
            provider=self._provider(wanted),
            protect=wanted.protect,
        )
        urn, old = self._names.register(goal)
        if old is not None:
            fix = "give it another name; to see what is there, run preview"
            raise StepError("the stack has this resource already", where=urn, fix=fix)
        return dataclasses.replace(goal.resource(urn, None), id=wanted.id)

    def _provider(self, wanted: Import) -> str:
        if wanted.provider:
            return f"{wanted.provider}::{self._there[wanted.provider].id}"
        goal = default_provider(package_of(wanted.type), "", self._config)
        provider = self._there.get(self._names.urn(goal)) or self._made(goal)
        return f"{provider.urn}::{provider.id}"

    def _made(self, goal: Goal) -> Resource:
        urn, _ = self._names.register(goal)
        made = goal.resource(urn, None)
        self._executor.run(Action("create", None, made))
        self._there[urn] = made
        return made
