"""M8: what serves models is measured, and alerts watch it."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

WATCHED = ("PredictionErrors", "PredictionLatency", "ModelNotDeployed")


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    metrics = resource.variables["service_metrics"]
    if not stack.measures(resource):
        yield Violation(metrics.path, "nothing of it is measured")
    if "monitoring" not in stack.slots:
        yield Violation(metrics.path, "there is no monitoring")
    elif missing := [alert for alert in WATCHED if alert not in stack.alerts]:
        yield Violation(metrics.path, f"no alert watches it: {', '.join(missing)}")


RULE = Rule(
    id="M8",
    title="served models are monitored",
    why="Errors and slow answers are found by those who asked for a prediction.",
    severity="high",
    from_tier=3,
    controls={"eu_ai_act": ("72",), "nist_ai_rmf": ("MEASURE 2.4",)},
    fix="keep the slot `monitoring`, its alerts in `components/monitoring/rules.yaml`, and `metrics` of the Workload",
    of=service_of("serving"),
    check=_check,
    whole_stack=True,
)
