"""The programs that both engines must treat alike, and what is done with each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs"


@dataclass(frozen=True)
class Do:
    """One operation.

    Attributes:
        operation: ``up``, ``destroy``, ``refresh``, or ``drift``, which changes the world behind the engine's back.
        stage: The stage of the program.
        options: Those of `terrace.engine.Options`; URNs are given by the resource's name alone.
        stack: The stack.
    """

    operation: str
    stage: int
    options: dict[str, Any] = field(default_factory=dict)
    stack: str = "dev"


def _steps(*operations: tuple[str, int]) -> list[Do]:
    return [Do(operation, stage) for operation, stage in operations]


_UPS = _steps(("up", 1), ("up", 1), ("up", 2), ("destroy", 2))
_TARGETS = [
    Do("up", 1, {"targets": ["a", "b"]}),
    Do("up", 1, {"targets": ["needs-gone"]}),
    Do("up", 1),
    Do("up", 2, {"targets": ["b"]}),
    Do("up", 2, {"targets": ["a"], "target_dependents": True}),
    Do("up", 2, {"targets": ["needs-new"]}),
    Do("up", 3, {"targets": ["child"]}),
    Do("up", 3, {"targets": ["gone"]}),
    Do("up", 3, {"targets": ["gone"], "target_dependents": True}),
    Do("up", 3, {"targets": ["nothing"]}),
    Do("up", 3, {"targets": ["**::a*"]}),
    Do("refresh", 3, {"targets": ["a"]}),
    Do("destroy", 3, {"targets": ["group"]}),
    Do("destroy", 3, {"targets": ["apart"]}),
    Do("destroy", 3, {"targets": ["a"], "target_dependents": True}),
    Do("up", 3),
    Do("destroy", 3),
]
_REPLACED = [
    Do("up", 1),
    Do("up", 2, {"replace": ["vanishes"]}),
    Do("up", 3, {"replace": ["changes", "b"]}),
    Do("up", 3, {"replace": ["nothing"]}),
    Do("drift", 3),
    Do("up", 3, {"refresh": True}),
    Do("up", 3),
    Do("destroy", 3, {"refresh": True}),
]
_REFERENCES = [
    Do("up", 1, stack="other"),
    Do("up", 1),
    Do("up", 1),
    Do("up", 2, stack="other"),
    Do("up", 2),
    Do("refresh", 2),
    Do("destroy", 2),
]

CASES: dict[str, list[Do]] = {
    "basic": _steps(("up", 1), ("up", 1), ("up", 2), ("up", 3), ("up", 4), ("up", 4), ("destroy", 4)),
    "delete_first": _UPS,
    "deleted_with": _steps(("up", 1), ("up", 2), ("up", 3), ("destroy", 3)),
    "components": _steps(("up", 1), ("up", 1), ("destroy", 1), ("up", 2), ("destroy", 2)),
    "secret_values": _UPS,
    "aliases": _steps(("up", 1), ("up", 2), ("up", 2), ("destroy", 2)),
    "protect": _steps(("up", 1), ("up", 2), ("up", 3), ("up", 4), ("up", 5), ("destroy", 5)),
    "deleting": _steps(("up", 1), ("up", 2), ("up", 2)),
    "changes": _UPS,
    "failing": _steps(("up", 1), ("up", 2), ("up", 3), ("up", 4), ("destroy", 4)),
    "failing_delete": _steps(("up", 1), ("destroy", 1), ("up", 2), ("up", 3)),
    "continuing": [Do("up", 1, {"continue_on_error": True}), *_steps(("up", 2), ("destroy", 2))],
    "replacing_fails": _steps(("up", 1), ("up", 2), ("up", 3), ("destroy", 3)),
    "options": _steps(("up", 1), ("destroy", 1)),
    "reading": _steps(("up", 1), ("up", 2), ("up", 2), ("destroy", 2)),
    "importing": _steps(("up", 1), ("up", 2)),
    "references": _REFERENCES,
    "unknown_stack": _steps(("up", 1)),
    "transforming": _UPS,
    "targets": _TARGETS,
    "replaced": _REPLACED,
    "refused": _steps(("up", 1), ("up", 2)),
    "raising": _steps(("up", 1), ("up", 2)),
    "drifting": _steps(("up", 1), ("drift", 1), ("refresh", 1), ("up", 1)),
}
