"""What a rule is: what it looks at, what it asks, why, from which tier on, and how to do what it asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from policies.resource import Resource
    from policies.setting import Setting
    from policies.stack import Stack
    from terrace.spec import Profile

BY_PROFILE = 6  # as the tier of a stricter form: no platform has it, so that a profile alone makes it mandatory
Severity = Literal["critical", "high", "medium"]


class Violation(NamedTuple):
    """What is wrong with a resource.

    Args:
        where: The path of the property.
        problem: What is wrong, without any value that may be a secret.
        tier: The tier from which it counts, where that is not the rule's own; see `Rule.stricter`.
    """

    where: str
    problem: str
    tier: int | None = None


@dataclass(frozen=True)
class Rule:
    """A rule.

    Args:
        id: As in the catalogue; it never changes, since waivers name it.
        title: What it asks, in a few words.
        why: What happens where it isn't kept.
        severity: How bad that is.
        from_tier: The tier from which it is mandatory; None where a tier alone never makes it so.
        controls: Profile → the controls that it gives evidence for. A profile in the spec makes its rules mandatory.
        fix: What to do, with the key of the spec.
        of: Tells whether a resource is one that the rule is about.
        check: Yields what is wrong with such a resource.
        whole_stack: Whether ``check`` looks at other resources than its own.
        stricter: Tier → what is asked more from that tier on.
    """

    id: str
    title: str
    why: str
    severity: Severity
    from_tier: int | None
    fix: str
    of: Callable[[Resource], bool]
    check: Callable[[Resource, Stack], Iterable[Violation]]
    controls: Mapping[Profile, tuple[str, ...]] = field(default_factory=dict)
    whole_stack: bool = False
    stricter: Mapping[int, str] = field(default_factory=dict)

    def is_mandatory(self, setting: Setting, tier: int | None = None) -> bool:
        """Tell whether a violation stops a deployment; ``tier`` is that of a stricter form."""
        needed = tier or self.from_tier
        return (needed is not None and setting.strictness >= needed) or bool(
            set(setting.compliance) & self.controls.keys()
        )
