"""M1: every slot that the tier has is there."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_platform
from policies.rule import Rule, Violation
from policies.stack import Stack
from terrace.tiers import TierTable


def _check(_resource: Resource, stack: Stack) -> Iterator[Violation]:
    setting = stack.setting
    for slot, row in TierTable.load().slots.items():
        if row.from_tier <= setting.tier_of(row.practice) and setting.target in row.flavors and slot not in stack.slots:
            yield Violation(slot, f"the slot {slot} is missing, which tier {row.from_tier} has")


RULE = Rule(
    id="M1",
    title="the tier is complete",
    why="What the tier promises to the team, and to those who audit it, is not there.",
    severity="high",
    from_tier=1,
    controls={"iso27001": ("8.9",)},
    fix="don't take slots out of the program; lower the tier of one practice by `practices`, with a waiver",
    of=is_platform,
    check=_check,
    whole_stack=True,
)
