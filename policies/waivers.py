"""Waivers: which findings the spec's recorded exceptions cover, and what is wrong with a waiver itself."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from policies.rule import Violation

if TYPE_CHECKING:
    from terrace.spec_practices import RuleWaiver

RULE = "M18"  # the rule about waivers; nothing waives it


def covers(waiver: RuleWaiver, rule: str, resource: str, today: datetime.date) -> bool:
    """Tell whether a waiver holds today for what a rule found at ``resource``, ``slot/name``."""
    holds = waiver.expires >= today and not is_too_wide(waiver.resource)
    return holds and rule == waiver.rule != RULE and fnmatchcase(resource, waiver.resource)


def is_too_wide(pattern: str) -> bool:
    """Tell whether a pattern doesn't name one slot, so that it could stand for the whole platform."""
    slot, _, name = pattern.partition("/")
    return not slot or not name or any(character in slot for character in "*?[")


def problems(
    waivers: Sequence[RuleWaiver], idle: Collection[int], rules: Collection[str], today: datetime.date
) -> Iterator[Violation]:
    """Yield what is wrong with the waivers; ``idle`` are the numbers of those that no finding needed."""
    for number, waiver in enumerate(waivers):
        path = f"waivers[{number}]"
        if waiver.rule not in rules:
            yield Violation(f"{path}.rule", "there is no such rule, or none that can be waived")
        elif is_too_wide(waiver.resource):
            yield Violation(f"{path}.resource", "it doesn't name one slot, as in slot/name, and waives nothing")
        elif waiver.expires < today:
            yield Violation(f"{path}.expires", f"it ended on {waiver.expires}, and waives nothing any more")
        elif number in idle:
            yield Violation(path, "nothing needs it: the rule is kept there, or there is no such resource")
