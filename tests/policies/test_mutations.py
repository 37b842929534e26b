"""One property of a real plan is broken: exactly one more rule fires, on exactly that resource."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from policies.catalog import rules
from policies.resource import Resource
from tests.policies.world import asked, broken, planned, wrong

Change = Callable[[dict[str, Any]], object]


class Mutation(NamedTuple):
    """What is broken of the resource ``path``, and the rule that must see it."""

    rule: str
    path: str
    change: Change


def environment(name: str, value: str) -> Change:
    """Return what sets a plain variable of a service."""
    return lambda variables: variables["service_environment"].update({name: value})


MUTATIONS = (
    Mutation("K5", "tracking/mlflow-service", lambda v: v["service_processes"][0].pop("memory_mb")),
    Mutation("K10", "tracking/mlflow-service", environment("MLFLOW_X", "[mlflow-admin]")),
)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda each: f"{each.rule}-{each.path}")
def test_a_broken_property_is_seen_by_one_rule_at_one_resource(mutation: Mutation) -> None:
    resources, told = planned(5)
    before = wrong(asked(resources, told))
    assert (mutation.rule, mutation.path) not in before

    after = wrong(asked(broken(resources, mutation.path, mutation.change), told))

    assert after - before == {(mutation.rule, mutation.path)}
    assert before - after == set()


def test_every_rule_is_tried_on_a_broken_plan() -> None:
    tried = {each.rule for each in MUTATIONS}
    assert {rule.id for rule in rules()} - tried == {"M18"}  # it is about the spec, not the plan


@pytest.mark.parametrize("tier", range(1, 6))
def test_each_tier_keeps_its_own_rules_without_a_waiver(tier: int) -> None:
    resources, told = planned(tier)
    assert told.waivers == ()
    findings = asked(resources, told)
    assert [(each.rule.id, each.resource.path, each.problem) for each in findings if each.stops or each.is_open] == []
    assert len({each.rule.id for each in findings}) > 1
    assert isinstance(resources[0], Resource)
