"""What the engine tells its callers: steps, results and the events of a running operation.

Values in here are safe to print: every secret reads ``[secret]``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Op: TypeAlias = Literal[
    "same",
    "create",
    "update",
    "replace",
    "create-replacement",
    "delete",
    "delete-replaced",
    "discard",
    "discard-replaced",
    "remove-pending-replace",
    "read",
    "read-replacement",
    "import",
    "import-replacement",
    "refresh",
]
Severity: TypeAlias = Literal["debug", "info", "warning", "error"]
OperationKind: TypeAlias = Literal["preview", "update", "refresh", "destroy"]


@dataclass(frozen=True)
class PropertyChange:
    """One changed input property.

    Attributes:
        path: Where it is, such as ``spec.ports[0]``.
        kind: What happens to it.
        old: The value before (None when it is added); ``[secret]`` for secrets.
        new: The value after (None when it is removed); ``[unknown]`` when it depends on a later step.
        replaces: Whether this change is why the resource is replaced.
    """

    path: str
    kind: Literal["add", "delete", "update"]
    old: Any
    new: Any
    replaces: bool = False


@dataclass(frozen=True)
class Step:
    """What happens to one resource.

    Attributes:
        op: The operation, in Pulumi's words. A replacement has three steps: ``create-replacement``, ``replace``
            (says what changed) and ``delete-replaced``.
        urn: The resource.
        type: Its type token.
        diff: The changed inputs.
        duration: Seconds that the provider took; 0 in a preview.
        unverified: The type belongs to a provider plugin, so this is a comparison of inputs only.
    """

    op: Op
    urn: str
    type: str
    diff: tuple[PropertyChange, ...] = ()
    duration: float = 0.0
    unverified: bool = False


@dataclass(frozen=True)
class ResourceError:
    """Why a resource's step, or the program (``urn`` is empty), failed."""

    urn: str
    message: str


@dataclass(frozen=True)
class Result:
    """How an operation ended.

    Attributes:
        ok: Whether everything that was to be done is done.
        steps: Every step, in the order of completion; default providers are left out, as the Pulumi CLI does.
        summary: Number of steps by operation.
        outputs: The stack's outputs, secrets masked.
        errors: What failed; empty when ``ok``.
        interrupted: Whether the user stopped it.
        judged: What the stack's judge said of what was planned.
    """

    ok: bool
    steps: tuple[Step, ...]
    summary: dict[str, int]
    outputs: dict[str, Any]
    errors: tuple[ResourceError, ...]
    interrupted: bool = False
    judged: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class ResourceState:
    """One resource as the state has it, secrets masked."""

    urn: str
    type: str
    id: str
    custom: bool
    parent: str
    protect: bool
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StepPlanned:
    """A preview found this step."""

    step: Step


@dataclass(frozen=True)
class StepStarted:
    """The step is being carried out."""

    step: Step


@dataclass(frozen=True)
class StepDone:
    """The step is done and recorded."""

    step: Step


@dataclass(frozen=True)
class StepFailed:
    """The step failed; ``message`` has secrets removed."""

    step: Step
    message: str


@dataclass(frozen=True)
class Diagnostic:
    """A message of the program, a provider or the engine. ``urn`` is empty when it is about the whole stack."""

    severity: Severity
    urn: str
    message: str


@dataclass(frozen=True)
class RecoveryNotice:
    """An earlier operation died; its journal was replayed.

    Attributes:
        message: What was found and done.
        in_flight: The (operation, URN) pairs whose outcome nobody recorded.
    """

    message: str
    in_flight: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class OutputsReady:
    """The stack's outputs, secrets masked."""

    outputs: dict[str, Any]


Event: TypeAlias = StepPlanned | StepStarted | StepDone | StepFailed | Diagnostic | RecoveryNotice | OutputsReady
OnEvent: TypeAlias = Callable[[Event], None]
