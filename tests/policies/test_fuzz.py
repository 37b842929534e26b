"""Whatever a resource holds, no rule crashes, none says a secret, and what can't be known is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies import report
from policies.catalog import rules
from policies.evaluate import evaluate
from policies.resource import Resource
from policies.values import UNKNOWN
from tests.policies.test_mutations import IN_A_CLUSTER as CLUSTERS
from tests.policies.world import BASE, DYNAMIC, TODAY, asked, careful, in_a_cluster, setting

RESOURCES, TOLD = careful()
OBJECTS, IN_A_CLUSTER = in_a_cluster(5)
SLOTS = sorted({resource.slot for resource in RESOURCES})
ROLES = sorted({resource.role for resource in RESOURCES} | {"announcement", "users"})
SECRET = "the-pass-word-of-nobody"
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from([UNKNOWN, SECRET])
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4)
)
NAMES = sorted({name for each in RESOURCES if each.role for name, _ in each.variables.items()})
PARTS = ["name", "command", "memory_mb", "path", "content", "port", "auth", "slot", "needs", "right", "request"]
# Things of the right names and shapes with wrong values in them: what reaches deepest into a rule.
INNER = st.dictionaries(st.sampled_from(PARTS), VALUES, max_size=6)
VARIABLES = st.dictionaries(st.sampled_from(NAMES), VALUES | st.lists(INNER, max_size=3), max_size=12)
FUZZ = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def readable(value: Any) -> str:
    return json.dumps(value, default=lambda _: None)


@st.composite
def resources(draw: st.DrawFn) -> Resource:
    slot, role = draw(st.sampled_from(SLOTS)), draw(st.sampled_from(ROLES) | VALUES)
    kind = draw(st.sampled_from(["terrace:HostRole", "terrace:Host", "terrace:Password", "", "aws:s3/bucket:Bucket"]))
    properties = draw(st.dictionaries(st.sampled_from(["host", "environment", "value", "key"]), VALUES))
    variables = draw(VARIABLES.map(readable) | VALUES)
    urn = f"{BASE}$terrace:{slot}:Flavor${DYNAMIC}{kind}::{draw(st.text(max_size=8))}"
    return Resource(urn, DYNAMIC + kind, {**properties, "role": role, "variables": variables})


@FUZZ
@given(st.lists(resources(), max_size=4))
def test_no_rule_crashes(found: list[Resource]) -> None:
    told = TOLD.model_copy(update={"tier": 5})
    assert [(each.rule.id, each.problem) for each in asked(found, told) if each.status == "failed"] == []


@FUZZ
@given(st.data())
def test_no_rule_crashes_on_an_object_of_which_something_is_broken(data: st.DataObject) -> None:
    at = data.draw(st.sampled_from([n for n, each in enumerate(OBJECTS) if "kubernetes:" in each.type]))
    properties = dict(OBJECTS[at].properties)
    name = data.draw(st.sampled_from(sorted(properties)))
    properties[name] = _with_a_wrong_part(properties[name], data)
    changed = [*OBJECTS[:at], Resource(OBJECTS[at].urn, OBJECTS[at].type, properties), *OBJECTS[at + 1 :]]
    assert [(each.rule.id, each.problem) for each in asked(changed, IN_A_CLUSTER) if each.status == "failed"] == []


def _with_a_wrong_part(held: Any, data: st.DataObject) -> Any:
    """Return a copy in which some part, however deep, is something else."""
    if isinstance(held, dict) and held and data.draw(st.integers(0, 5)):
        name = data.draw(st.sampled_from(sorted(held)))
        return {**held, name: _with_a_wrong_part(held[name], data)}
    if isinstance(held, list) and held and data.draw(st.integers(0, 5)):
        at = data.draw(st.integers(0, len(held) - 1))
        return [*held[:at], _with_a_wrong_part(held[at], data), *held[at + 1 :]]
    return data.draw(VALUES)


@FUZZ
@given(st.data())
def test_no_rule_crashes_on_a_plan_of_which_something_is_broken(data: st.DataObject) -> None:
    """Every other property is right, so that rules get as far as they do in a plan."""
    at = data.draw(st.integers(0, len(RESOURCES) - 1))
    resource = RESOURCES[at]
    if resource.role:
        variables = json.loads(resource.properties["variables"])
        name = data.draw(st.sampled_from(sorted(variables)))
        variables[name] = data.draw(VALUES | st.lists(INNER, max_size=3))
        properties = {**resource.properties, "variables": readable(variables)}
    else:
        properties = data.draw(st.dictionaries(st.text(max_size=5), VALUES, max_size=3))
    changed = [*RESOURCES[:at], Resource(resource.urn, resource.type, properties), *RESOURCES[at + 1 :]]
    assert [(each.rule.id, each.problem) for each in asked(changed, TOLD) if each.status == "failed"] == []


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.id)
def test_an_unknown_value_never_passes(rule: Any) -> None:
    """What a rule looks at is not known: it says so, or that something is wrong; it never says that all is well."""
    if rule.id in ("M1", "M14", "M18", *CLUSTERS):
        return  # they look at which resources there are, which is known; those of a cluster are tried on one
    changed = [Resource(each.urn, each.type, {**each.properties, "variables": UNKNOWN}) for each in RESOURCES]
    found = evaluate(changed, TOLD, [rule], TODAY)
    assert found
    assert {each.status for each in found} == {"undetermined"}


def test_no_report_says_a_value_of_a_resource() -> None:
    """Each text of a real plan is replaced by one that nobody may read; what breaks is told without it."""
    changed = [Resource(each.urn, each.type, _with_secrets(each.properties)) for each in RESOURCES]
    findings = asked(changed, TOLD)
    assert len([each for each in findings if each.status == "violates"]) > 50
    text = json.dumps(report.document("local", 5, findings)) + str(list(report.lines("local", 5, findings)))
    assert SECRET not in text


def _with_secrets(properties: Any) -> dict[str, Any]:
    held = dict(properties)
    if isinstance(held.get("variables"), str):
        held["variables"] = json.dumps(_replaced(json.loads(held["variables"])))
    return held


def _replaced(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _replaced(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item) for item in value]
    return f"{SECRET}\n{SECRET}: {SECRET}" if isinstance(value, str) and key != "path" else value


def test_ten_megabytes_are_read_like_any_other_text() -> None:
    large = json.dumps({"service_files": [{"path": "nginx.conf", "content": "listen " * 1_500_000}]})
    told = setting(5)
    gateway = Resource(f"{BASE}$terrace:gateway:Nginx${DYNAMIC}terrace:HostRole::x", DYNAMIC + "terrace:HostRole", {
        "role": "service", "variables": large,
    })  # fmt: skip
    assert {each.status for each in asked([gateway], told)} == {"passes", "violates"}
