"""Each rule on resources made for it: which pass, which don't and by which property, and which can't be told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from policies.catalog import rules
from tests.policies.world import asked, made_up, setting

FIXTURES = Path(__file__).parent / "fixtures"
RULES = {rule.id: rule for rule in rules()}


def fixture_of(rule: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((FIXTURES / f"{rule}.yaml").read_text(encoding="utf-8"))
    return loaded


def test_every_rule_has_a_fixture_and_every_fixture_a_rule() -> None:
    assert {file.stem for file in FIXTURES.iterdir()} == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_says_what_its_fixture_says(rule: str) -> None:
    fixture = fixture_of(rule)
    resources = [made_up(path, about) for path, about in fixture["resources"].items()]
    told = setting(**{"tier": 5, **fixture.get("setting", {})})

    findings = [each for each in asked(resources, told) if each.rule.id == rule]

    assert sorted(each.resource.path for each in findings if each.status == "passes") == sorted(fixture["passes"])
    violated: dict[str, list[str]] = {}
    for each in findings:
        if each.status == "violates":
            violated.setdefault(each.resource.path, []).append(each.where)
    assert violated == fixture["violates"]
    open_ = {each.resource.path: each.where for each in findings if each.status == "undetermined"}
    assert open_ == fixture.get("undetermined", {})
    assert [each for each in findings if each.status == "failed"] == []


@pytest.mark.parametrize("rule", RULES)
def test_a_fixture_tries_both_ways(rule: str) -> None:
    """A rule that never passes, or always does, would say nothing."""
    fixture = fixture_of(rule)
    assert fixture["violates"]
    assert fixture["passes"] or rule in ("M1", "M18")  # a platform is one resource


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_a_rule_tells_all_that_people_need(rule: Any) -> None:
    assert rule.title[0].islower() or rule.title[0] in "TM"  # TLS, MLflow
    assert rule.why.endswith(".")
    assert len(rule.why) > 20
    assert "`" in rule.fix  # a key of the spec, or a field of the flavor
    assert rule.from_tier in (None, 1, 2, 3, 4, 5)
    assert rule.from_tier or rule.controls, "nothing makes it mandatory"
    assert all(tier > (rule.from_tier or 0) for tier in rule.stricter)
    assert all(controls for controls in rule.controls.values())
