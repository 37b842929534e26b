"""Carries actions out, and records each before and after it happens."""

from __future__ import annotations

import dataclasses
import threading
from typing import Any

from terrace.engine.errors import CancelledError, StepError
from terrace.engine.goal import is_dynamic
from terrace.engine.planner import Action
from terrace.engine.providers import Providers
from terrace.engine.report import Report
from terrace.engine.snapshot import CREATING, Snapshot
from terrace.engine.state import PROVIDER_PREFIX, Resource, now
from terrace.engine.values import UNKNOWN_WIRE, Secret, equal
from terrace.errors import TerraceError

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


class Executor:
    """Does what the planner decided.

    Args:
        snapshot: The state, which is changed.
        providers: Do the work.
        report: Told about each step.
        preview: Only say what would be done.
        parallel: How many providers' calls may run at once.
        condemned: The URNs that this operation deletes, for ``deleted_with``.
    """

    def __init__(
        self,
        snapshot: Snapshot,
        providers: Providers,
        report: Report,
        *,
        preview: bool,
        parallel: int,
        condemned: set[str],
    ) -> None:
        self._snapshot = snapshot
        self._providers = providers
        self._report = report
        self._preview = preview
        self._turn = threading.Semaphore(parallel)
        self._condemned = condemned
        self._running = 0
        self._idle = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing any more. What runs goes on to its end."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def wait(self) -> None:
        """Wait until nothing runs."""
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0)

    def run(self, action: Action) -> None:
        """Carry one action out.

        Raises:
            StepError: It failed, and was reported.
            CancelledError: The operation was stopped before its turn came.
        """
        with self._turn:
            self._enter()
            try:
                self._run(action)
            finally:
                self._leave()

    def _enter(self) -> None:
        with self._idle:
            if self._stopped:
                raise CancelledError("the operation was stopped", where="")
            self._running += 1

    def _leave(self) -> None:
        with self._idle:
            self._running -= 1
            self._idle.notify_all()

    def _run(self, action: Action) -> None:
        self._report.hide([action.resource.inputs, action.resource.outputs])
        since = self._report.started(action)
        try:
            self._do(action)
        except Exception as error:  # a provider's exception can be anything
            message = describe(error)
            self._report.failed(action, message)
            raise StepError(self._report.redact(message), where=action.resource.urn) from None
        self._report.done(action, since)

    def _do(self, action: Action) -> None:
        old, new = action.old, action.new
        if action.op in ("delete", "delete-replaced", "discard"):
            assert old is not None  # noqa: S101 - the planner gives deletions an old resource
            self._delete(action, old)
        elif action.op == "replace":
            return
        else:
            assert new is not None  # noqa: S101 - and everything else a new one
            if action.op == "refresh":
                self._refresh(action, new)
            elif action.op in ("read", "read-replacement"):
                self._read(action, old, new)
            elif action.op == "update":
                self._update(old or new, new)
            elif action.op == "same":
                self._same(old or new, new)
            else:
                self._create(action, old, new)

    def _same(self, old: Resource, new: Resource) -> None:
        _carry_over(old, new)
        new.outputs = old.outputs
        if any(getattr(old, name) != getattr(new, name) for name in _MUTABLE) or not equal(old.inputs, new.inputs):
            self._snapshot.add(new, replacing=old)
        else:
            self._snapshot.keep(old, new)

    def _create(self, action: Action, old: Resource | None, new: Resource) -> None:
        number = self._snapshot.begin(CREATING, new)
        try:
            if self._preview:
                _preview_create(new)
            elif new.custom:
                new.id, new.outputs = self._providers.create(new)
        except BaseException:
            self._snapshot.end(number)
            raise
        _hide_outputs(new)
        new.created = new.modified = now()
        done, changed = [], []
        if old is not None and old.pending_replacement:
            done.append(old)
        elif action.op == "create-replacement" and old is not None and not action.delete_first:
            old.delete = True
            changed.append(old)
        self._snapshot.end(number, added=new, done=done, changed=changed)

    def _update(self, old: Resource, new: Resource) -> None:
        number = self._snapshot.begin("updating", new)
        _carry_over(old, new)
        try:
            if not new.custom:
                new.outputs = old.outputs
            elif self._preview:
                new.outputs = dict(new.inputs)
            else:
                new.outputs = self._providers.update(old, new)
        except BaseException:
            self._snapshot.end(number)
            raise
        _hide_outputs(new)
        new.modified = now()
        self._snapshot.end(number, added=new, done=[old])

    def _read(self, action: Action, old: Resource | None, new: Resource) -> None:
        number = self._snapshot.begin("reading", new)
        try:
            new.id, new.outputs = self._read_external(new)
        except BaseException:
            self._snapshot.end(number)
            raise
        _hide_outputs(new)
        if old is not None and not equal([old.inputs, old.outputs], [new.inputs, new.outputs]):
            new.modified = now()
        if action.op == "read-replacement" and old is not None:
            old.delete = True
            self._snapshot.end(number, added=new, changed=[old])
        else:
            self._snapshot.end(number, added=new, done=[old] if old is not None else [])

    def _read_external(self, wanted: Resource) -> tuple[str, dict[str, Any]]:
        if self._preview and not is_dynamic(wanted.type):
            return wanted.id, dict(wanted.inputs)
        identifier, _, outputs = self._providers.read(wanted)
        if not identifier:
            raise StepError(f"there is nothing with the id {wanted.id}", where=wanted.urn)
        return identifier, outputs

    def _refresh(self, action: Action, old: Resource) -> None:
        """Compare with what is really there; the action becomes what was found."""
        identifier, inputs, outputs = self._providers.read(old)
        if not identifier:
            action.op, action.old, action.new = "delete", old, None
            if not self._preview:
                self._snapshot.remove(old, vanished=True)
            return
        new = dataclasses.replace(old, id=identifier, inputs=old.inputs if inputs is None else inputs, outputs=outputs)
        _hide_outputs(new)
        action.old, action.new = old, new
        if equal([old.id, old.inputs, old.outputs], [new.id, new.inputs, new.outputs]):
            action.op = "same"
            return
        action.op = "update"
        new.modified = now()
        if not self._preview:
            self._snapshot.refresh(old, new)

    def _delete(self, action: Action, old: Resource) -> None:
        if old.protect and action.op == "delete":
            raise StepError(
                "it is protected, so it can't be deleted",
                where=old.urn,
                fix="remove `protect` from the resource and run up",
            )
        number = self._snapshot.begin("deleting", old)
        try:
            if not self._preview and action.op != "discard" and self._is_ours(old):
                self._providers.delete(old)
        except BaseException:
            self._snapshot.end(number)
            raise
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


def _carry_over(old: Resource, new: Resource) -> None:
    new.id, new.created, new.modified = old.id, old.created, old.modified
    new.init_errors = old.init_errors


def _preview_create(new: Resource) -> None:
    if new.custom:
        new.outputs = dict(new.inputs)
        new.id = UNKNOWN_WIRE if new.type.startswith(PROVIDER_PREFIX) else ""


def _hide_outputs(new: Resource) -> None:
    for key in new.additional_secret_outputs:
        value: Any = new.outputs.get(key)
        if key in new.outputs and not isinstance(value, Secret):
            new.outputs[key] = Secret(value)


def describe(error: Exception) -> str:
    """What went wrong, in words. The resource is told apart, so a step's error doesn't name it again."""
    if isinstance(error, StepError):
        return str(StepError(error.what, why=error.why, fix=error.fix))
    if isinstance(error, TerraceError):
        return str(error)
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
