"""What each kind of action does to a resource and to the state. Each is recorded before and after it happens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from terrace.engine.action import Action
from terrace.engine.errors import PartialError, StepError
from terrace.engine.provider import Found
from terrace.engine.providers import Providers
from terrace.engine.snapshot import CREATING, Snapshot
from terrace.engine.state import PROVIDER_PREFIX, Resource, now
from terrace.engine.values import UNKNOWN_WIRE, Secret, equal

_T = TypeVar("_T")
_IMPORTS = ("import", "import-replacement")
_READS = ("read", "read-replacement")
_DELETIONS = ("delete", "delete-replaced", "remove-pending-replace")
# A resource that stays the same is written all the same if one of these changed.
_MUTABLE = (
    "urn",
    "type",
    "custom",
    "provider",
    "parent",
    "protect",
    "retain_on_delete",
    "deleted_with",
    "custom_timeouts",
    "dependencies",
    "aliases",
)


class Steps:
    """Carries single actions out. Safe to use from several threads.

    Args:
        snapshot: The state, which is changed.
        providers: Do the work.
        preview: Only say what would be done.
        condemned: The URNs that this operation deletes, for ``deleted_with``.
        warn: Told (URN, message).
    """

    def __init__(
        self,
        snapshot: Snapshot,
        providers: Providers,
        *,
        preview: bool,
        condemned: set[str],
        warn: Callable[[str, str], None],
    ) -> None:
        self._snapshot = snapshot
        self._providers = providers
        self._preview = preview
        self._condemned = condemned
        self._warn = warn

    def do(self, action: Action) -> None:
        """Carry one action out.

        Raises:
            Exception: It failed; a provider may raise anything.
        """
        old, new = action.old, action.new
        if action.op in _DELETIONS:
            assert old is not None  # noqa: S101 - the planner gives deletions an old resource
            self._delete(action, old)
        elif action.op != "replace":
            assert new is not None  # noqa: S101 - and everything else a new one
            self._reach(action, old, new)
            if new.type.startswith(PROVIDER_PREFIX):
                self._providers.configure(new)

    def _reach(self, action: Action, old: Resource | None, new: Resource) -> None:
        if action.op == "refresh":
            self._refresh(action, new)
        elif action.op in _IMPORTS:
            self._import(action, old, new)
        elif action.op in _READS:
            self._read(action, old, new)
        elif action.op == "update":
            self._update(old or new, new)
        elif action.op != "same":
            self._create(action, old, new)
        elif old is not None:  # else it is left out, and isn't there
            self._same(old, new)

    def _attempt(self, kind: str, resource: Resource, work: Callable[[], _T]) -> tuple[int, _T]:
        """Do the work of an operation that was begun; returns its number, to end it, and what came out."""
        number = self._snapshot.begin(kind, resource)
        try:
            return number, work()
        except BaseException:
            self._snapshot.end(number)
            raise

    def _same(self, old: Resource, new: Resource) -> None:
        _carry_over(old, new)
        new.outputs = old.outputs
        if any(getattr(old, name) != getattr(new, name) for name in _MUTABLE) or not equal(old.inputs, new.inputs):
            self._snapshot.add(new, replacing=old)
        else:
            self._snapshot.keep(old, new)

    def _create(self, action: Action, old: Resource | None, new: Resource) -> None:
        number, failure = self._attempt(CREATING, new, lambda: self._created(new))
        _hide_outputs(new)
        new.created = new.modified = now()
        done, changed = [], []
        if old is not None and old.pending_replacement:
            done.append(old)
        elif action.op == "create-replacement" and old is not None and not action.delete_first:
            old.delete = True
            changed.append(old)
        self._snapshot.end(number, added=new, done=done, changed=changed)
        if failure is not None:
            raise failure

    def _created(self, new: Resource) -> PartialError | None:
        try:
            if self._preview:
                self._preview_create(new)
            elif new.custom:
                new.id, new.outputs = self._providers.create(new)
        except PartialError as error:
            return _keep_partial(new, error)
        return None

    def _preview_create(self, new: Resource) -> None:
        if new.custom:
            new.outputs = self._providers.preview(None, new)
            new.id = UNKNOWN_WIRE if new.type.startswith(PROVIDER_PREFIX) else ""

    def _update(self, old: Resource, new: Resource) -> None:
        _carry_over(old, new)
        number, failure = self._attempt("updating", new, lambda: self._updated(old, new))
        _hide_outputs(new)
        new.modified = now()
        self._snapshot.end(number, added=new, done=[old])
        if failure is not None:
            raise failure

    def _updated(self, old: Resource, new: Resource) -> PartialError | None:
        try:
            if not new.custom:
                new.outputs = old.outputs
            elif self._preview:
                new.outputs = self._providers.preview(old, new)
            else:
                new.outputs = self._providers.update(old, new)
        except PartialError as error:
            return _keep_partial(new, error)
        new.init_errors = []
        return None

    def _import(self, action: Action, old: Resource | None, new: Resource) -> None:
        number, found = self._attempt("importing", new, lambda: self._imported(new))
        new.id, new.inputs, new.outputs = found
        _hide_outputs(new)
        new.created = new.modified = now()
        self._end_reading(number, old, new, replaced=action.op == "import-replacement")

    def _imported(self, new: Resource) -> tuple[str, dict[str, Any], dict[str, Any]]:
        if self._preview and not self._providers.handles(new.type):
            return new.import_id, new.inputs, dict(new.inputs)
        wanted = new.import_id or new.id
        found = self._providers.read(dataclasses.replace(new, id=wanted, inputs={}, outputs={}))
        _require(found, wanted, new.urn)
        if found.inputs is None:
            raise StepError("its provider can't import", where=new.urn)
        return found.id, found.inputs, found.outputs

    def _read(self, action: Action, old: Resource | None, new: Resource) -> None:
        number, (new.id, new.outputs) = self._attempt("reading", new, lambda: self._read_external(new))
        _hide_outputs(new)
        if old is not None and not equal([old.inputs, old.outputs], [new.inputs, new.outputs]):
            new.modified = now()
        self._end_reading(number, old, new, replaced=action.op == "read-replacement")

    def _read_external(self, wanted: Resource) -> tuple[str, dict[str, Any]]:
        if self._preview and (wanted.id == UNKNOWN_WIRE or not self._providers.handles(wanted.type)):
            return wanted.id, dict(wanted.inputs)
        found = self._providers.read(wanted)
        _require(found, wanted.id, wanted.urn)
        return found.id, found.outputs

    def _end_reading(self, number: int, old: Resource | None, new: Resource, *, replaced: bool) -> None:
        if replaced and old is not None:
            old.delete = True
            self._snapshot.end(number, added=new, changed=[old])
        else:
            self._snapshot.end(number, added=new, done=[old] if old is not None else [])

    def _refresh(self, action: Action, old: Resource) -> None:
        """Compare with what is really there; the action becomes what was found."""
        if not self._providers.handles(old.type) or not old.custom:
            action.op = "same"
            return
        found = self._providers.read(old)
        if not found.id:
            action.op, action.old, action.new = "delete", old, None
            self._snapshot.remove(old)
            return
        inputs = old.inputs if found.inputs is None else found.inputs
        new = dataclasses.replace(
            old, id=found.id, inputs=inputs, outputs=found.outputs, init_errors=list(found.complaints)
        )
        for complaint in found.complaints:
            self._warn(old.urn, complaint)
        _hide_outputs(new)
        action.old, action.new = old, new
        # As with the Pulumi CLI, what a provider calls no difference is none, though it is noted in the state.
        action.op = "update" if self._providers.diff(new, old.inputs).changed else "same"
        before, after = ([item.id, item.inputs, item.outputs, item.init_errors] for item in (old, new))
        if equal(before, after):
            return
        new.modified = now()
        self._snapshot.refresh(old, new)

    def _delete(self, action: Action, old: Resource) -> None:
        if old.protect and action.op == "delete":
            raise StepError(
                "it is protected, so it can't be deleted",
                where=old.urn,
                fix="remove `protect` from the resource and run up",
            )

        def work() -> None:
            if action.op == "remove-pending-replace" or not self._is_ours(old):
                return
            if self._preview:
                self._providers.preview(old, None)
            else:
                self._providers.delete(old)

        number, _ = self._attempt("deleting", old, work)
        if action.op == "delete-replaced" and action.delete_first:
            old.pending_replacement = True
            self._snapshot.end(number, changed=[old])
        else:
            self._snapshot.end(number, done=[old])

    def _is_ours(self, old: Resource) -> bool:
        """Whether a provider must delete it, and not nobody, or the deletion of another resource."""
        return (
            old.custom
            and not old.external
            and not old.retain_on_delete
            and not old.pending_replacement
            and old.deleted_with not in self._condemned
        )


def _require(found: Found, identifier: str, urn: str) -> None:
    if not found.id:
        raise StepError(f"there is nothing with the id {identifier}", where=urn)


def _carry_over(old: Resource, new: Resource) -> None:
    new.id, new.created, new.modified = old.id, old.created, old.modified
    new.init_errors = old.init_errors


def _keep_partial(new: Resource, error: PartialError) -> PartialError:
    new.id, new.outputs, new.init_errors = error.id, error.outputs, [str(error)]
    return error


def _hide_outputs(new: Resource) -> None:
    for key in new.additional_secret_outputs:
        value: Any = new.outputs.get(key)
        if key in new.outputs and not isinstance(value, Secret):
            new.outputs[key] = Secret(value)
