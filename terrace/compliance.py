"""Asks the rules of ``policies/`` about an environment: as it is planned, or by its stack file alone."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies import report
from policies.catalog import rules
from policies.evaluate import Finding, evaluate
from policies.resource import Resource
from policies.setting import Setting
from policies.values import UNKNOWN
from terrace.engine.model import Diagnostic
from terrace.engine.values import PROVIDER_KEY, Secret, Unknown
from terrace.errors import OperationError

if TYPE_CHECKING:
    from terrace.engine.judge import Judge
    from terrace.engine.state import Resource as Planned
    from terrace.spec import PlatformSpec


@dataclass(frozen=True)
class Verdict:
    """What the rules say of an environment.

    Args:
        environment: Its name.
        tier: The tier whose rules are mandatory.
        findings: What each rule says of each resource that it is about.
    """

    environment: str
    tier: int
    findings: tuple[Finding, ...]

    def is_kept(self, *, allow_undetermined: bool) -> bool:
        """Tell whether every mandatory rule is kept."""
        return not any(each.stops or (each.is_open and not allow_undetermined) for each in self.findings)

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return report.document(self.environment, self.tier, self.findings)


def check(root: Path, environment: str) -> Verdict:
    """Ask the rules about an environment's stack file. Needs no state, no host, and no secret.

    Raises:
        InputError: There is no such environment, or its files are wrong.
        OperationError: The program failed.
    """
    from terrace import config, resolve
    from terrace.engine.outline import outline
    from terrace.engine.project import Project

    spec = resolve.resolve(config.load(root, environment)).spec
    found = outline(Project.load(root), environment)
    if found.errors:
        raise OperationError(f"what {environment} would be can't be told", where=environment, why=found.errors[0])
    return judge(spec, environment, found.resources)


def judge(spec: PlatformSpec, environment: str, resources: Iterable[Planned]) -> Verdict:
    """Ask the rules about resources as the engine plans them."""
    setting = setting_of(spec, environment)
    seen = map(_seen, resources)
    today = datetime.datetime.now(datetime.UTC).date()
    return Verdict(environment, setting.strictness, tuple(evaluate(seen, setting, rules(), today)))


def setting_of(spec: PlatformSpec, environment: str) -> Setting:
    """Return what rules are told of an environment."""
    return Setting(
        environment=environment,
        tier=spec.tier,
        target=spec.target,
        compliance=spec.compliance,
        practices=spec.practices,
        use_cases=spec.use_cases,
        waivers=spec.waivers,
    )


def engine_judge(spec: PlatformSpec, environment: str) -> Judge:
    """Return what both engines ask about each plan; what doesn't stop it is said once."""
    told: set[str] = set()

    def ask(resources: Sequence[Planned]) -> list[Diagnostic]:
        said = [_said(each) for each in judge(spec, environment, resources).findings if each.status != "passes"]
        fresh = [each for each in said if each.severity == "error" or each.message not in told]
        told.update(each.message for each in said)
        return fresh

    return ask


def _said(finding: Finding) -> Diagnostic:
    urn, text = finding.resource.urn, report.sentence(finding)
    if finding.waiver:
        return Diagnostic("warning", urn, f"{text} (waived until {finding.waiver.expires})")
    if finding.stops:
        return Diagnostic("error", urn, f"{text}\n  why: {finding.rule.why}\n  fix: {finding.rule.fix}")
    return Diagnostic("warning", urn, f"{text}; fix: {finding.rule.fix}")


def _seen(planned: Planned) -> Resource:
    inputs = {name: _plain(value) for name, value in planned.inputs.items() if name != PROVIDER_KEY}
    return Resource(planned.urn, planned.type, inputs)


def _plain(value: Any) -> Any:
    """Return a value of the engine's as rules see it: opened, with their own word for what isn't known."""
    if isinstance(value, Secret):
        return _plain(value.value)
    if isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
