"""M12: served predictions are kept; those of high-risk uses for six months."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.rules.platform.log_retention import SIX_MONTHS
from policies.stack import Stack


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    kept = resource.variable("PREDICTIONS_SPOOL")
    if not kept.text:
        yield Violation(kept.path, "served predictions are not kept")
        return
    risky = [name for name, case in stack.setting.use_cases.items() if case.risk_class == "high"]
    days = stack.kept_days
    if risky and (days is None or days < SIX_MONTHS):
        yield Violation(kept.path, f"{', '.join(risky)}: high risk, and kept for less than {SIX_MONTHS} days")


RULE = Rule(
    id="M12",
    title="served predictions are kept",
    why="Nobody can say later what a model answered, to whom it mattered, and why.",
    severity="high",
    from_tier=4,
    controls={"eu_ai_act": ("12", "19")},
    fix="set `serving.predictions_days`; to 184 or more where a use case has `risk_class: high`",
    of=service_of("serving"),
    check=_check,
    whole_stack=True,
)
