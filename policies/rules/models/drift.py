"""M9: an alert says when a model's world has changed."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

WATCHED = ("DataDrift", "PredictionDrift", "DriftNotLookedAt")


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    kept = resource.variable("PREDICTIONS_SPOOL")
    if not kept.text:
        yield Violation(kept.path, "no prediction is kept that could be compared with training data")
    if "drift" not in stack.slots:
        yield Violation(kept.path, "nothing compares predictions with training data")
    if missing := [alert for alert in WATCHED if alert not in stack.alerts]:
        yield Violation(kept.path, f"no alert watches for drift: {', '.join(missing)}")


RULE = Rule(
    id="M9",
    title="drift raises an alert",
    why="A model that was right about last year decides about this one.",
    severity="high",
    from_tier=5,
    controls={"nist_ai_rmf": ("MANAGE 4.1",), "eu_ai_act": ("72",)},
    fix="keep the slot `drift`, and `serving.predictions_days` above 0",
    of=service_of("serving"),
    check=_check,
    whole_stack=True,
)
