"""The rules as a policy pack of the Pulumi CLI: ``pulumi preview --policy-pack policies``.

It runs in an environment of its own (``requirements.txt``), since `pulumi-policy` wants an older protobuf than the
project's. Pulumi hands the stack's whole configuration to this process, with its secrets opened: what rules need of it
is read once, and the rest is let go.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy, StackValidationPolicy
from pulumi_policy.proxy import UnknownValueError

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from policies import report
from policies.catalog import rules
from policies.evaluate import Finding, evaluate
from policies.resource import Resource
from policies.rule import Rule
from policies.setting import Setting
from policies.values import UNKNOWN

LEVELS = {True: EnforcementLevel.MANDATORY, False: EnforcementLevel.ADVISORY}
Told = Callable[[str, str], None]


def _setting() -> Setting:
    """Return what rules are told; without a stack, as in `pulumi policy publish`, that of the highest tier."""
    config = json.loads(os.environ.pop("PULUMI_CONFIG", "{}"))
    return Setting.of_config(
        os.environ.get("PULUMI_STACK", ""), {"terrace:tier": "5", "terrace:target": "host", **config}
    )


SETTING = _setting()


def _policies() -> list[Any]:
    """Return a policy for each rule and level that its findings may have here, and one for what is set aside."""
    named = [
        _policy(f"{rule.id}{'' if mandatory else '-advisory'}", rule, mandatory=mandatory)
        for rule in rules()
        for mandatory in sorted({rule.is_mandatory(SETTING, tier) for tier in (None, *rule.stricter)})
    ]
    aside = "Names what a waiver covers, and what isn't known before something is deployed."
    return [*named, StackValidationPolicy("set-aside", aside, _tell_set_aside, EnforcementLevel.ADVISORY)]


def _policy(name: str, rule: Rule, *, mandatory: bool) -> Any:
    """Return the policy of one rule, which tells the findings of one level."""
    asked = rules() if rule.id == "M18" else (rule,)  # a waiver is needed by what other rules find

    def tell(resources: Iterable[Any], told: Told) -> None:
        for finding in _ask(resources, asked):
            wrong = finding.status in ("violates", "failed") and finding.waiver is None
            if finding.rule is rule and wrong and finding.mandatory is mandatory:
                told(f"{report.sentence(finding)}\nFix: {rule.fix}", finding.resource.urn)

    text, level = f"{rule.title}. {rule.why}", LEVELS[mandatory]
    if rule.whole_stack:
        return StackValidationPolicy(name, text, lambda args, told: tell(args.resources, told), level)
    return ResourceValidationPolicy(name, text, lambda args, told: tell([args], told), level)


def _tell_set_aside(args: Any, told: Told) -> None:
    for finding in _ask(args.resources, rules()):
        if finding.waiver:
            until = f"waived until {finding.waiver.expires} by {finding.waiver.owner}: {finding.waiver.reason}"
            told(f"{report.sentence(finding)}\n{until}", finding.resource.urn)
        elif finding.status == "undetermined":
            told(report.sentence(finding), finding.resource.urn)


def _ask(resources: Iterable[Any], asked: Sequence[Rule]) -> list[Finding]:
    seen = [_seen(each) for each in resources]
    today = datetime.datetime.now(datetime.UTC).date()
    return evaluate(seen, SETTING, asked, today)


def _seen(resource: Any) -> Resource:
    return Resource(resource.urn, resource.resource_type, _plain(resource.props))


def _plain(value: Any) -> Any:
    """Return a property as rules see it; Pulumi's own views of it raise at each unknown value."""
    if isinstance(value, Mapping):
        return {key: _at(value, key) for key in value}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_at(value, index) for index in range(len(value))]
    return value


def _at(value: Any, key: Any) -> Any:
    try:
        return _plain(value[key])
    except UnknownValueError:
        return UNKNOWN


PolicyPack(name="terrace", policies=_policies())
