"""Has somebody look at what is planned before anything is touched, as the Pulumi CLI has policy packs look."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from terrace.engine.model import Diagnostic, Result

if TYPE_CHECKING:
    from terrace.engine.operation import Pass
    from terrace.engine.report import Report
    from terrace.engine.state import Resource

# Is given all resources as they are going to be. An error that it returns refuses the plan.
Judge: TypeAlias = Callable[[Sequence["Resource"]], Sequence[Diagnostic]]


def judged(plan: Pass, report: Report, judge: Judge | None) -> Result:
    """How a planning pass ended, with what the judge says of it where the plan came to its end.

    Args:
        plan: The pass.
        report: Its report, which knows the secrets that nobody may say.
        judge: Who looks at it.
    """
    result = plan.result()
    if judge is None or not result.ok:
        return result
    found = judge(plan.snapshot.deployment().resources)
    said = tuple(dataclasses.replace(each, message=report.redact(each.message)) for each in found)
    for each in said:
        if each.severity == "error":
            report.fail(each.urn, each.message)
    return dataclasses.replace(plan.result(), judged=said)
