"""Findings as text for people, and as data for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from policies.evaluate import Finding

Tone = Literal["head", "resource", "bad", "mild", "dim"]
WORDS = {"violates": "violated", "undetermined": "undetermined", "failed": "failed"}


@dataclass(frozen=True)
class Line:
    """A line of the report, and how much it matters."""

    text: str
    tone: Tone


def summary(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each sort; a waived one counts as nothing else."""
    counts = Counter(_sort(finding) for finding in findings)
    return {sort: counts[sort] for sort in ("passed", "mandatory", "advisory", "undetermined", "waived")}


def lines(environment: str, tier: int, findings: Sequence[Finding]) -> Iterator[Line]:
    """Yield the report: how it stands, then what is to do, grouped by resource."""
    counts = summary(findings)
    told = ", ".join(f"{count} {sort}" for sort, count in counts.items() if count)
    rules = len({finding.rule.id for finding in findings})
    yield Line(f"{environment}: tier {tier}, {rules} rules: {told or 'nothing to look at'}", "head")
    wrong = sorted((each for each in findings if each.status != "passes"), key=lambda each: each.resource.path)
    for path, group in groupby(wrong, key=lambda each: each.resource.path):
        yield Line(path, "resource")
        for finding in group:
            yield from _about(finding)


def document(environment: str, tier: int, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the report as JSON data; what passes is in it, too."""
    return {
        "env": environment,
        "tier": tier,
        "summary": summary(findings),
        "findings": [_record(finding) for finding in findings],
    }


def sentence(finding: Finding) -> str:
    """Return what is wrong in one line, without the resource."""
    rule = finding.rule
    where = f"{finding.where}: " if finding.where else ""
    return f"{rule.id} {rule.title}: {where}{finding.problem}"


def _about(finding: Finding) -> Iterator[Line]:
    rule, waiver = finding.rule, finding.waiver
    level = "mandatory" if finding.mandatory else "advisory"
    tone: Tone = "dim" if waiver else "bad" if finding.mandatory else "mild"
    word = "waived" if waiver else WORDS[finding.status]
    yield Line(f"  {rule.id} {rule.title} ({word}, {level}, {rule.severity})", tone)
    where = f"{finding.where}: " if finding.where else ""
    yield Line(f"    {where}{finding.problem}", tone)
    if waiver:
        yield Line(f"    waived until {waiver.expires} by {waiver.owner}: {waiver.reason}", "dim")
    else:
        yield Line(f"    fix: {rule.fix}", "dim")


def _sort(finding: Finding) -> str:
    if finding.status == "passes":
        return "passed"
    if finding.waiver:
        return "waived"
    if finding.status == "undetermined":
        return "undetermined"
    return "mandatory" if finding.mandatory else "advisory"


def _record(finding: Finding) -> dict[str, Any]:
    rule, waiver = finding.rule, finding.waiver
    record: dict[str, Any] = {
        "rule": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "mandatory": finding.mandatory,
        "resource": finding.resource.path,
        "urn": finding.resource.urn,
        "status": "waived" if waiver else finding.status,
    }
    if finding.status != "passes":
        record |= {"property": finding.where, "problem": finding.problem, "fix": rule.fix, "why": rule.why}
    if waiver:
        record["waiver"] = waiver.model_dump(mode="json")
    return record
