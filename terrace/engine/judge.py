"""Has somebody look at what is planned before anything is touched, as the Pulumi CLI has policy packs look."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from terrace.engine.errors import StateError
from terrace.engine.model import Diagnostic, Result

if TYPE_CHECKING:
    from terrace.engine.operation import Pass
    from terrace.engine.project import Project
    from terrace.engine.report import Report
    from terrace.engine.state import Resource

# Is given all resources as they are going to be. An error that it returns refuses the plan.
Judge: TypeAlias = Callable[[Sequence["Resource"]], Sequence[Diagnostic]]


def everything(project: Project, stack: str, program: Callable[[], None] | None) -> Sequence[Resource]:
    """Return all resources that a program asks for, where only some of them are targets.

    Raises:
        StateError: The program fails where it is run for everything.
    """
    from terrace.engine.outline import outline

    found = outline(project, stack, program)
    if found.errors:
        raise StateError("what the whole stack would be can't be told", where=stack, why=found.errors[0])
    return found.resources


def judged(plan: Pass, report: Report, judge: Judge, whole: Sequence[Resource]) -> Result:
    """How a planning pass ended, with what the judge says.

    Args:
        plan: The pass.
        report: Its report, which knows the secrets that nobody may say.
        judge: Who looks at it.
        whole: All resources as they are going to be.
    """
    found = judge(whole)
    said = tuple(dataclasses.replace(each, message=report.redact(each.message)) for each in found)
    for each in said:
        if each.severity == "error":
            report.fail(each.urn, each.message)
    return dataclasses.replace(plan.result(), judged=said)
