"""M22: no pipeline goes around the validation of its data."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    required = resource.variable("PIPELINES_REQUIRED_STEPS")
    if not required.text.strip(" ,"):
        yield Violation(required.path, "a pipeline without a validation step is accepted")


RULE = Rule(
    id="M22",
    title="every pipeline validates its data",
    why="A model learns from a bad batch, and passes every gate that compares it with that batch.",
    severity="high",
    from_tier=3,
    controls={"eu_ai_act": ("10",)},
    fix="keep the slot `data_quality`, with `data_quality.required_step`",
    of=service_of("pipelines"),
    check=_check,
)
