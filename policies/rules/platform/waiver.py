"""M18: waivers hold, name what they are for, and are needed."""

from __future__ import annotations

from collections.abc import Iterator

from policies import waivers
from policies.resource import Resource, is_platform
from policies.rule import Rule, Violation
from policies.stack import Stack


def _check(_resource: Resource, stack: Stack) -> Iterator[Violation]:
    from policies.catalog import rules

    known = {rule.id for rule in rules()} - {waivers.RULE}
    yield from waivers.problems(stack.setting.waivers, stack.idle, known, stack.today)


RULE = Rule(
    id=waivers.RULE,
    title="waivers hold and are needed",
    why="An exception that nobody needs or renews any more hides the next violation.",
    severity="high",
    from_tier=1,
    controls={"soc2": ("CC8.1",)},
    fix="renew it with a new `expires` and reason, narrow its `resource`, or remove it from `waivers`",
    of=is_platform,
    check=_check,
    whole_stack=True,
)
