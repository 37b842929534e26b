"""Decides what happens to each resource: the rules of Pulumi's step generator.

The planner sees one resource at a time, in the order in which the program registers them, and compares it with the
stored state. Its decisions are made under one lock; carrying them out is the executor's job and happens in parallel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from terrace.engine.action import Action
from terrace.engine.diff import Diff, apply_replace_on_changes, ignore_changes, inputs_differ
from terrace.engine.errors import StepError
from terrace.engine.goal import Goal
from terrace.engine.graph import Graph
from terrace.engine.model import Op
from terrace.engine.names import Names
from terrace.engine.providers import Providers
from terrace.engine.state import Resource, is_default_provider
from terrace.engine.targets import Targets
from terrace.engine.values import UNKNOWN, UNKNOWN_WIRE, equal

Warn = Callable[[str, str], None]


class Planner:
    """Turns goals into actions.

    Args:
        resources: The stored resources.
        names: Gives URNs and finds resources by their old names.
        providers: Answers check and diff.
        preview: Whether nothing is carried out, so that values may be unknown.
        warn: Told (URN, message).
        targets: What the operation works on.
    """

    def __init__(
        self,
        resources: list[Resource],
        names: Names,
        providers: Providers,
        *,
        preview: bool,
        warn: Warn,
        targets: Targets,
    ) -> None:
        self._resources = resources
        self._graph = Graph(resources)
        self._names = names
        self._providers = providers
        self._preview = preview
        self._warn = warn
        self._targets = targets
        self._seen: set[str] = set()
        self._replaced: set[str] = set()
        self._gone: set[Resource] = set()
        self._kept: set[Resource] = set()
        self.condemned: set[str] = set()

    def plan(self, goal: Goal) -> list[Action]:
        """What to do so that the program's goal is reached, in order. The last action with a ``new`` is the result.

        Raises:
            StepError: The inputs are wrong, or a protected resource would have to be replaced.
        """
        urn, old = self._names.register(goal)
        new = goal.resource(urn, old)
        if goal.read_id:
            return self._read(goal, old, new)
        if not self._targets.includes(new):
            return self._leave(old, new)
        if old in self._kept:  # they may need each other now
            raise StepError(
                "the program makes it after something that is no target, and that needs it as it is stored",
                where=urn,
                fix="make that a target too, or run up without targets",
            )
        self._targets.require_needs(new)
        self._see(urn, old)
        if _is_import(goal, old):
            if old is None:
                return [Action("import", None, new)]
            return [Action("import-replacement", old, new), Action("replace", old, new)]
        return self._plan(goal, old, new)

    def plan_imported(self, goal: Goal, imported: Resource) -> list[Action]:
        """What to do so that a resource that was just imported is as the program wants it."""
        actions = self._plan(goal, imported, goal.resource(imported.urn, imported))
        return [action for action in actions if action.op != "same"]

    def _plan(self, goal: Goal, old: Resource | None, new: Resource) -> list[Action]:
        recreated = old in self._gone
        fresh = recreated or old is None or old.external or self._targets.must_replace(new.urn)
        inputs = goal.inputs
        if old is not None:
            inputs, impossible = ignore_changes(goal.inputs, old.inputs, goal.ignore_changes)
            if impossible:
                self._warn(new.urn, f"cannot ignore changes in added or removed elements of {', '.join(impossible)}")
        new.inputs = self._providers.check(
            goal, new.urn, None if fresh or old is None else old.inputs, goal.inputs if fresh else inputs
        )
        if recreated:
            self._replaced.add(new.urn)
            return [Action("replace", old, new), Action("create-replacement", old, new, delete_first=True)]
        if old is None:
            return [Action("create", None, new)]
        if old.external:
            return [Action("create-replacement", old, new), Action("replace", old, new)]
        return self._change(goal, old, new)

    def skip(self, goal: Goal) -> str:
        """Leave a resource as it is, because something that it needs failed; returns its URN."""
        urn, old = self._names.register(goal)
        self._see(urn, old)
        return urn

    def named(self, goal: Goal) -> Resource:
        """The resource of a goal that couldn't be planned."""
        return Resource(urn=self._names.urn(goal), type=goal.type, custom=goal.custom)

    def stored(self, urn: str) -> Resource | None:
        """The stored resource that a resource of the program continues."""
        return self._names.stored(urn)

    def deletions(self) -> list[list[Action]]:
        """What is left to delete once the program is done: rounds of actions that can go in parallel."""
        actions: dict[Resource, Action] = {}
        left: list[Action] = []
        deletable = self._targets.deletable(self._graph)
        for resource in self._resources:
            if resource in self._gone and not resource.pending_replacement:
                continue  # deleted already, or that failed
            if deletable is not None and resource not in deletable:
                if self._is_unreached(resource):
                    left.append(Action("same", resource, dataclasses.replace(resource), left_out=True))
                continue
            if resource.delete:
                actions[resource] = Action("delete-replaced", resource, None)
            elif resource not in self._kept and not self._names.was_seen(resource.urn):
                op: Op = "remove-pending-replace" if resource.pending_replacement else "delete"
                actions[resource] = Action(op, resource, None)
        self.condemned.update(resource.urn for resource in actions)
        rounds = [[actions[resource] for resource in round_] for round_ in self._graph.deletion_rounds(actions)]
        return [left, *rounds]

    def beyond_targets(self, rounds: list[list[Action]]) -> list[str]:
        """The URNs of what these deletions would take along without being told to."""
        return self._targets.beyond(action.resource for round_ in rounds for action in round_ if not action.left_out)

    def unknown_targets(self) -> list[str]:
        """The targets that neither the program nor the state knows."""
        return self._targets.unknown(self._seen | {resource.urn for resource in self._resources})

    def spared(self, left: Iterable[Resource]) -> set[Resource]:
        """What mustn't be deleted because stored resources that stay as they are need it."""
        return {needed for item in left if item in self._graph for needed in self._graph.all_needs(item)}

    def _see(self, urn: str, old: Resource | None) -> None:
        self._seen.add(urn)
        if old is not None:
            self._seen.add(old.urn)  # another one, if it was renamed

    def _read(self, goal: Goal, old: Resource | None, new: Resource) -> list[Action]:
        new.id = goal.read_id
        self._see(new.urn, old)
        if old is not None and not old.external and goal.read_id not in (old.id, UNKNOWN_WIRE):
            self._replaced.add(new.urn)
            return [Action("read-replacement", old, new), Action("replace", old, new)]
        return [Action("read", old, new)]

    def _leave(self, old: Resource | None, new: Resource) -> list[Action]:
        """Leave a resource that is no target as it is, and what it needs before it in the state."""
        self._seen.add(new.urn)
        if old is None:
            self._targets.leave_out(new.urn)
            return [Action("same", None, new, left_out=True)]
        needed = [item for item in self._graph.all_needs_in_order(old) if self._is_unreached(item)]
        for item in (*needed, old):
            self._kept.add(item)
            self._seen.add(item.urn)
        return [Action("same", item, dataclasses.replace(item), left_out=True) for item in (*needed, old)]

    def _is_unreached(self, resource: Resource) -> bool:
        return resource not in self._kept and not resource.delete and not self._names.was_seen(resource.urn)

    def _change(self, goal: Goal, old: Resource, new: Resource) -> list[Action]:
        diff = apply_replace_on_changes(self._diff(goal, old, new), goal.replace_on_changes)
        if old.init_errors:  # it was left half-done
            diff = dataclasses.replace(diff, changed=True)
        if old.pending_replacement or (diff.changed and diff.replace):
            return self._replace(goal, old, new, diff)
        if diff.changed:
            return [Action("update", old, new, diff)]
        return [Action("same", old, new)]

    def _diff(self, goal: Goal, old: Resource, new: Resource) -> Diff:
        if self._targets.must_replace(new.urn):
            return Diff(changed=True, replace_keys=("id",), replace=True)
        if goal.deleted_with and goal.deleted_with in self._replaced:
            return Diff(changed=True, replace_keys=("deletedWith",), replace=True)
        if self._provider_changed(old, new):
            return Diff(changed=True, replace_keys=("provider",), replace=True)
        if not goal.custom:
            return inputs_differ(old.inputs, new.inputs) if not equal(old.inputs, new.inputs) else Diff(changed=False)
        return self._providers.diff(dataclasses.replace(old, ignore_changes=goal.ignore_changes), new.inputs)

    def _provider_changed(self, old: Resource, new: Resource) -> bool:
        if old.provider == new.provider or not (old.provider and new.provider):
            return False
        if is_default_provider(old.provider_urn) and is_default_provider(new.provider_urn):
            return self._providers.leads_elsewhere(old, new)  # else only its version or id is another
        # One with another id was replaced.
        return f"{self._names.current(old.provider_urn)}::{old.provider.rpartition('::')[2]}" != new.provider

    def _replace(self, goal: Goal, old: Resource, new: Resource, diff: Diff) -> list[Action]:
        if new.protect and old.protect:
            raise StepError(
                "it must be replaced, but it is protected",
                where=new.urn,
                fix="remove `protect` from the resource, run up, then make the change",
            )
        if goal.import_id:
            raise StepError(
                "it was imported, and would have to be replaced",
                where=new.urn,
                why=f"changed: {', '.join(diff.replace_keys)}",
                fix="make the program agree with what is there, or remove `import_` from it",
            )
        self._replaced.add(new.urn)
        # Values that were carried over from the old resource don't hold for the new one.
        new.inputs = self._providers.check(goal, new.urn, None, goal.inputs)
        delete_first = diff.delete_first if goal.delete_before_replace is None else goal.delete_before_replace
        replace = Action("replace", old, new, diff)
        if not delete_first:
            return [Action("create-replacement", old, new, diff), replace]
        actions = [self._delete_dependent(resource, new.urn) for resource in reversed(self._fallen(old))]
        if not old.pending_replacement:
            self.condemned.add(old.urn)
            actions.append(Action("delete-replaced", old, None, delete_first=True))
        self._gone.add(old)
        return [*actions, replace, Action("create-replacement", old, new, diff, delete_first=True)]

    def _delete_dependent(self, resource: Resource, because: str) -> Action:
        if resource.protect and not resource.delete:
            raise StepError(
                f"it must be replaced because {because} is, but it is protected",
                where=resource.urn,
                fix="remove `protect` from the resource, run up, then make the change",
            )
        self.condemned.add(resource.urn)
        self._gone.add(resource)
        op: Op = "delete" if resource.delete else "delete-replaced"
        return Action(op, resource, None, delete_first=not resource.delete)

    def _fallen(self, root: Resource) -> list[Resource]:
        """Which resources must go before ``root`` can, because its deletion would replace them."""
        falling = {root.urn}
        fallen = []
        for resource in self._graph.dependents(root, self._seen):
            if resource not in self._gone and self._falls_with(resource, falling):
                falling.add(resource.urn)
                fallen.append(resource)
        return fallen

    def _falls_with(self, resource: Resource, falling: set[str]) -> bool:
        if not resource.custom or resource.external:
            return False
        if resource.provider_urn in falling or resource.deleted_with in falling:
            return True
        touched = {key for key, urns in resource.property_dependencies.items() if falling.intersection(urns)}
        if not touched:
            return False
        inputs = {key: UNKNOWN if key in touched else value for key, value in resource.inputs.items()}
        diff = self._providers.diff(dataclasses.replace(resource), inputs)
        return apply_replace_on_changes(diff, resource.replace_on_changes).replace


def _is_import(goal: Goal, old: Resource | None) -> bool:
    if not goal.custom or not goal.import_id:
        return False
    return old is None or old.external or (old.import_id or old.id) != goal.import_id
