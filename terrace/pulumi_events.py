"""Reads the Pulumi CLI's engine events, one JSON object per line, as the embedded engine's own.

Written for the stream that ``pulumi up --json`` of version 3 prints. Secrets arrive masked and stay so.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, cast

from terrace.engine.model import (
    Diagnostic,
    OnEvent,
    Op,
    OutputsReady,
    PropertyChange,
    ResourceError,
    Result,
    Severity,
    Step,
    StepDone,
    StepFailed,
    StepPlanned,
    StepStarted,
)

STACK_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"
SECRET_KEY = "4dabf18193072939515e22adb298388d"  # Pulumi's marker of a special value  # noqa: S105
SECRET = "[secret]"  # noqa: S105 - what a secret is printed as
VERDICT = re.compile(r"(\w+) failed")  # the last message of every failed operation, which says nothing new
SEVERITIES: Mapping[str, Severity] = {
    "debug": "debug",
    "info": "info",
    "info#err": "info",
    "warning": "warning",
    "error": "error",
}


class Reader:
    """Follows one operation's events and sums them up.

    Args:
        on_event: Told of every event as it is read.
    """

    def __init__(self, on_event: OnEvent) -> None:
        self._tell = on_event
        self._started: dict[str, float] = {}
        self._steps: dict[tuple[str, str], Step] = {}
        self._errors: list[ResourceError] = []
        self._said: list[str] = []
        self._outputs: dict[str, Any] = {}

    def read(self, lines: Iterable[str]) -> None:
        """Read events until the stream ends; lines that are no JSON are messages of the CLI itself."""
        for line in lines:
            try:
                document = json.loads(line)
            except ValueError:
                self._message("", "info", line)
                continue
            if isinstance(document, dict):
                self._event(document)

    def result(self, *, ok: bool, interrupted: bool, complaint: str) -> Result:
        """Return how the operation ended.

        Args:
            ok: Whether the CLI said so by its exit code.
            interrupted: Whether the user stopped it.
            complaint: What the CLI wrote to its standard error; an error where no resource's error says more.
        """
        errors = [error for error in self._errors if error.urn or not VERDICT.fullmatch(error.message)]
        if not ok and not errors:
            said = complaint.strip() or "".join(self._said).strip() or "the Pulumi CLI failed"
            errors = [ResourceError("", "the operation was interrupted" if interrupted else said)]
        steps = tuple(self._steps.values())
        summary = dict(Counter(step.op for step in steps))
        return Result(ok, steps, cast(dict[str, int], summary), self._outputs, tuple(errors), interrupted)

    def _event(self, document: Mapping[str, Any]) -> None:
        if found := document.get("diagnosticEvent"):
            self._message(found.get("urn", ""), found["severity"], found["message"])
        elif found := document.get("resourcePreEvent"):
            self._pre(found["metadata"], planning=found.get("planning", False))
        elif found := document.get("resOutputsEvent"):
            self._done(found["metadata"], planning=found.get("planning", False))
        elif found := document.get("resOpFailedEvent"):
            self._failed(found["metadata"])

    def _message(self, urn: str, severity: str, message: str) -> None:
        level = SEVERITIES.get(severity, "info")
        if level == "debug":
            return
        if level == "error":
            self._errors.append(ResourceError(urn, _last_words(message)))
        if severity == "info#err":  # what the program's process wrote to its standard error; tracebacks of the end
            self._said.append(message)
            return
        self._tell(Diagnostic(level, urn, message))

    def _pre(self, metadata: Mapping[str, Any], *, planning: bool) -> None:
        step = _step(metadata)
        if _hidden(step):
            return
        self._started[step.urn] = time.monotonic()
        if planning:
            self._steps[step.op, step.urn] = step
        self._tell(StepPlanned(step) if planning else StepStarted(step))

    def _done(self, metadata: Mapping[str, Any], *, planning: bool) -> None:
        if metadata["type"] == STACK_TYPE and (new := metadata.get("new")):
            self._outputs = masked(new.get("outputs") or {})
            self._tell(OutputsReady(self._outputs))
        step = _step(metadata, self._seconds(metadata["urn"]))
        if planning or _hidden(step) or (step.op, step.urn) in self._steps:
            return
        self._steps[step.op, step.urn] = step
        self._tell(StepDone(step))

    def _failed(self, metadata: Mapping[str, Any]) -> None:
        step = _step(metadata, self._seconds(metadata["urn"]))
        self._tell(StepFailed(step, next((e.message for e in self._errors if e.urn == step.urn), "failed")))

    def _seconds(self, urn: str) -> float:
        return time.monotonic() - self._started.get(urn, time.monotonic())


def masked(value: Any) -> Any:
    """Return ``value`` with each of Pulumi's secret objects as ``[secret]``."""
    if isinstance(value, dict):
        if SECRET_KEY in value:
            return SECRET
        return {key: masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def _hidden(step: Step) -> bool:
    return step.type.startswith(PROVIDER_PREFIX)


def _step(metadata: Mapping[str, Any], seconds: float = 0.0) -> Step:
    return Step(cast(Op, metadata["op"]), metadata["urn"], metadata["type"], tuple(_changes(metadata)), seconds)


def _changes(metadata: Mapping[str, Any]) -> Iterable[PropertyChange]:
    old = masked((metadata.get("old") or {}).get("inputs") or {})
    new = masked((metadata.get("new") or {}).get("inputs") or {})
    for path, diff in (metadata.get("detailedDiff") or {}).items():
        kind, _, replaces = diff["diffKind"].partition("-")
        name = path.partition(".")[0].partition("[")[0]
        yield PropertyChange(name, kind, old.get(name), new.get(name), bool(replaces))


def _last_words(message: str) -> str:
    """Return what an error says, without the traceback that Pulumi's provider server puts around it."""
    text = message.strip()
    if "Traceback (most recent call last)" not in text:
        return text
    lines = text.splitlines()
    start = max(i for i, line in enumerate(lines) if line.startswith(("  File ", "    "))) + 1
    return "\n".join(lines[start:]).strip() or text
