"""Collects what an operation did and tells the caller, with every secret removed."""

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections import Counter
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from terrace.engine.diff import property_changes
from terrace.engine.model import (
    Diagnostic,
    Event,
    OnEvent,
    Op,
    PropertyChange,
    ResourceError,
    Severity,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
)
from terrace.engine.state import PROVIDER_PREFIX, is_default_provider, package_of
from terrace.engine.values import MASK, equal, secret_texts

if TYPE_CHECKING:
    from terrace.engine.action import Action

# Shorter strings than this are too common to tell a secret from a word that happens to be the same.
_SHORTEST_SECRET = 4
# What happens to a resource that was only read, and that nobody deletes.
_DISCARDS: dict[Op, Op] = {"delete": "discard", "delete-replaced": "discard-replaced"}
_UNCOUNTED = ("create-replacement", "delete-replaced", "import-replacement", "read-replacement")


class Report:
    """The steps and errors of one operation. Safe to use from several threads.

    Args:
        on_event: Told everything, one event at a time, in the context that the report was made in.
        preview: Whether steps are only planned.
        packages: The packages that this engine can deploy; steps of others are unverified.
        refresh: Whether the operation is a refresh; the one before an update doesn't count in the summary.
    """

    def __init__(
        self, on_event: OnEvent | None, *, preview: bool, packages: Collection[str], refresh: bool = False
    ) -> None:
        self._refresh = refresh
        self._counts: Counter[Op] = Counter()
        self._packages = packages
        self._on_event = on_event
        self._context = contextvars.copy_context()
        self._preview = preview
        self._lock = threading.RLock()
        self._steps: list[Step] = []
        self._errors: list[ResourceError] = []
        self._secrets: set[str] = set()
        self._longest_first: list[str] | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps so far."""
        return tuple(self._steps)

    @property
    def errors(self) -> tuple[ResourceError, ...]:
        """The errors so far."""
        return tuple(self._errors)

    def summary(self) -> dict[str, int]:
        """How many steps of which operation, as the Pulumi CLI counts: a replacement once, a read if it changed."""
        return {str(op): count for op, count in self._counts.items()}

    def emit(self, event: Event) -> None:
        """Tell the caller."""
        if self._on_event is not None:
            with self._lock:
                self._context.copy().run(self._on_event, event)

    def say(self, severity: Severity, urn: str, message: str) -> None:
        """A message to the user."""
        self.emit(Diagnostic(severity, urn, self.redact(message)))

    def hide(self, values: Any) -> None:
        """Remember secrets, to remove them from every message."""
        found = {form for text in secret_texts(values) for form in _forms(text) if len(form) >= _SHORTEST_SECRET}
        with self._lock:
            if not found <= self._secrets:
                self._secrets |= found
                self._longest_first = None

    def redact(self, message: str) -> str:
        """The message without any secret that is known by now."""
        with self._lock:
            if self._longest_first is None:
                self._longest_first = sorted(self._secrets, key=len, reverse=True)
            for text in self._longest_first:
                message = message.replace(text, MASK)
        return message

    def started(self, action: Action) -> float:
        """A step begins; returns the time."""
        if not self._preview and _is_shown(action):
            self.emit(StepStarted(self._step(action)))
        return time.monotonic()

    def done(self, action: Action, since: float = 0.0) -> None:
        """A step is done, or planned."""
        if not _is_shown(action):
            return
        step = self._step(action, 0.0 if self._preview or not since else time.monotonic() - since)
        with self._lock:
            self._steps.append(step)
            if self._counts_in(action):
                self._counts[step.op] += 1
        self.emit(StepPlanned(step) if self._preview else StepDone(step))

    def failed(self, action: Action, message: str) -> None:
        """A step failed."""
        self.emit(StepFailed(self._step(action), self.fail(action.resource.urn, message)))

    def fail(self, urn: str, message: str) -> str:
        """Something failed; returns the message without secrets."""
        message = self.redact(message)
        with self._lock:
            self._errors.append(ResourceError(urn, message))
        return message

    def _counts_in(self, action: Action) -> bool:
        """Whether the summary counts it, as the Pulumi CLI does."""
        if action.op == "read":
            return (
                action.old is not None and action.new is not None and not equal(action.old.outputs, action.new.outputs)
            )
        return action.op not in _UNCOUNTED and (self._refresh or not action.refreshed)

    def _step(self, action: Action, duration: float = 0.0) -> Step:
        resource = action.resource
        changes: tuple[PropertyChange, ...] = ()
        if (
            action.old is not None
            and action.new is not None
            and action.op in ("update", "replace", "create-replacement")
        ):
            changes = property_changes(action.old.inputs, action.new.inputs, action.diff)
        if action.refreshed and action.old is not None and action.new is not None:
            changes = property_changes(action.old.outputs, action.new.outputs, None)
        package = package_of(resource.type.removeprefix(PROVIDER_PREFIX))
        unverified = resource.custom and package not in self._packages
        op = _DISCARDS.get(action.op, action.op) if resource.external else action.op
        if action.refreshed and not self._refresh:
            op = "refresh"
        return Step(op, resource.urn, resource.type, changes, duration, unverified)


def _forms(text: str) -> tuple[str, ...]:
    """How a secret may stand in a message: as it is, line by line, or escaped."""
    lines = text.splitlines() if "\n" in text else ()
    return (text, *(line.strip() for line in lines), json.dumps(text)[1:-1], repr(text)[1:-1])


def _is_shown(action: Action) -> bool:
    return action.op != "remove-pending-replace" and not is_default_provider(action.resource.urn)
