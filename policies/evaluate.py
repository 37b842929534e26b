"""Asks every rule about every resource. A pure function: nothing is read, printed, or touched."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from policies import waivers
from policies.resource import Resource
from policies.stack import Stack
from policies.values import UndeterminedError

if TYPE_CHECKING:
    from policies.rule import Rule
    from policies.setting import Setting
    from terrace.spec_practices import RuleWaiver

PULUMIS_OWN = "pulumi:"  # stacks and providers, which no rule is about
# What a rule says of a resource. «failed» is a defect of the rule: it counts as a violation, never as a pass.
Status = Literal["passes", "violates", "undetermined", "failed"]


@dataclass(frozen=True)
class Finding:
    """What one rule says of one resource, or of one property of it.

    Args:
        rule: The rule.
        resource: The resource.
        status: What it says.
        mandatory: Whether that stops a deployment where the resource doesn't pass.
        where: The property that it is about; empty where it passes.
        problem: What is wrong.
        waiver: The exception that covers it.
    """

    rule: Rule
    resource: Resource
    status: Status
    mandatory: bool
    where: str = ""
    problem: str = ""
    waiver: RuleWaiver | None = None

    @property
    def stops(self) -> bool:
        """Whether nothing may be deployed because of it; what isn't known yet never stops by itself."""
        return self.mandatory and self.waiver is None and self.status in ("violates", "failed")

    @property
    def is_open(self) -> bool:
        """Whether it is mandatory and can't be decided before something is deployed."""
        return self.mandatory and self.waiver is None and self.status == "undetermined"


def evaluate(
    resources: Iterable[Resource], setting: Setting, rules: Sequence[Rule], today: datetime.date
) -> list[Finding]:
    """Ask ``rules`` about ``resources``; returns what each says of each resource that it is about, by resource."""
    stack = Stack(tuple(each for each in resources if not each.type.startswith(PULUMIS_OWN)), setting, today)
    others = [rule for rule in rules if rule.id != waivers.RULE]
    findings = [_waived(each, setting, today) for each in _ask(others, stack)]
    idle = set(range(len(setting.waivers))) - {setting.waivers.index(each.waiver) for each in findings if each.waiver}
    of_waivers = [rule for rule in rules if rule.id == waivers.RULE]
    return [*findings, *_ask(of_waivers, dataclasses.replace(stack, idle=frozenset(idle)))]


def _ask(rules: Sequence[Rule], stack: Stack) -> Iterator[Finding]:
    for resource in stack.resources:
        alone = dataclasses.replace(stack, resources=(resource,))
        for rule in rules:
            if rule.of(resource):
                found = list(_ask_about(rule, resource, stack if rule.whole_stack else alone))
                yield from found or [Finding(rule, resource, "passes", rule.is_mandatory(stack.setting))]


def _ask_about(rule: Rule, resource: Resource, stack: Stack) -> Iterator[Finding]:
    """Yield what is wrong. A rule that meets an unknown value, or fails, has said all that it can of the resource."""
    setting = stack.setting
    try:
        for violation in rule.check(resource, stack):
            mandatory = rule.is_mandatory(setting, violation.tier)
            yield Finding(rule, resource, "violates", mandatory, violation.where, violation.problem)
    except UndeterminedError as unknown:
        mandatory = rule.is_mandatory(setting)
        yield Finding(rule, resource, "undetermined", mandatory, unknown.path, "its value isn't known yet")
    except Exception as error:
        # Its text may hold a secret.
        problem = f"the rule itself failed ({type(error).__name__})"
        yield Finding(rule, resource, "failed", rule.is_mandatory(setting), "", problem)


def _waived(finding: Finding, setting: Setting, today: datetime.date) -> Finding:
    waiver = next((each for each in setting.waivers if _covers(each, finding, today)), None)
    return dataclasses.replace(finding, waiver=waiver) if waiver else finding


def _covers(waiver: RuleWaiver, finding: Finding, today: datetime.date) -> bool:
    if finding.status not in ("violates", "undetermined"):
        return False
    return waivers.covers(waiver, finding.rule.id, finding.resource.path, today)
