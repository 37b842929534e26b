"""How rules are asked, and what becomes of what they say."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from policies import report
from policies.catalog import rules
from policies.evaluate import Finding, evaluate
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.setting import Setting
from policies.stack import Stack
from policies.values import UNKNOWN, UndeterminedError, Value
from tests.policies.world import TODAY, made_up, setting

SIZES = Rule(
    id="T1",
    title="small",
    why="A large one takes the place of others.",
    severity="high",
    from_tier=3,
    controls={"gdpr": ("32",)},
    fix="make `size` smaller",
    of=is_service,
    check=lambda resource, _stack: _sizes(resource),
    stricter={5: "at most 1"},
)


def _sizes(resource: Resource) -> Iterator[Violation]:
    for name, size in resource.variables["sizes"].items():
        if (size.number or 0) > 10:
            yield Violation(size.path, f"{name} is large")
        elif (size.number or 0) > 1:
            yield Violation(size.path, f"{name} is more than small", tier=5)


def ask(sizes: Any, told: Setting, rule: Rule = SIZES) -> list[Finding]:
    return evaluate([made_up("serving/one", {"variables": {"sizes": sizes}})], told, [rule], TODAY)


def waiver(**about: Any) -> dict[str, Any]:
    given = {"rule": "T1", "resource": "serving/*", "reason": "It moves in spring.", "owner": "ann"}
    return {**given, "expires": TODAY, **about}


@pytest.mark.parametrize(
    ("tier", "profile", "size", "mandatory"),
    [
        (2, (), 11, False),
        (3, (), 11, True),
        (3, (), 2, False),
        (4, (), 2, False),
        (5, (), 2, True),
        (1, ("soc2",), 11, False),
        (1, ("gdpr",), 11, True),
        (1, ("gdpr",), 2, True),
    ],
)
def test_tier_and_profile_make_a_rule_mandatory(tier: int, profile: Any, size: int, mandatory: bool) -> None:
    (finding,) = ask({"a": size}, setting(tier, compliance=profile))
    assert (finding.status, finding.mandatory, finding.stops) == ("violates", mandatory, mandatory)


def test_the_practice_raises_what_is_mandatory() -> None:
    told = setting(1, practices={"risk_and_compliance": {"tier": 3}})
    assert ask({"a": 11}, told)[0].stops


def test_each_property_is_found_and_what_is_fine_passes_once() -> None:
    found = ask({"a": 11, "b": 1, "c": 12}, setting(3))
    assert [each.where for each in found] == ["variables.sizes.a", "variables.sizes.c"]
    assert [each.status for each in ask({"a": 1, "b": 1}, setting(3))] == ["passes"]


def test_an_unknown_value_hides_nothing_that_was_found_before_it() -> None:
    def check(_resource: Resource, _stack: Stack) -> Iterator[Violation]:
        yield Violation("a", "is wrong")
        raise UndeterminedError("b")

    found = ask({}, setting(3), dataclasses.replace(SIZES, check=check))
    assert [(each.status, each.where) for each in found] == [("violates", "a"), ("undetermined", "b")]
    assert (found[1].is_open, found[1].stops) == (True, False)
    assert not ask({}, setting(2), dataclasses.replace(SIZES, check=check))[1].is_open


def test_a_rule_that_fails_is_no_pass_and_says_no_secret() -> None:
    def check(_resource: Resource, _stack: Stack) -> Iterator[Violation]:
        raise KeyError("s3cr3t")

    (found,) = ask({}, setting(3), dataclasses.replace(SIZES, check=check))
    assert (found.status, found.stops) == ("failed", True)
    assert "KeyError" in found.problem
    assert "s3cr3t" not in str(report.document("local", 3, [found]))


def test_a_rule_that_needs_no_others_sees_none() -> None:
    seen: list[int] = []

    def check(_resource: Resource, stack: Stack) -> Iterator[Violation]:
        seen.append(len(stack.resources))
        return iter(())

    two = [made_up("serving/one", {}), made_up("serving/two", {})]
    for whole in (False, True):
        evaluate(two, setting(3), [dataclasses.replace(SIZES, check=check, whole_stack=whole)], TODAY)
    assert seen == [1, 1, 2, 2]


def test_a_waived_violation_stops_nothing_and_is_reported_as_waived() -> None:
    (found,) = ask({"a": 11}, setting(3, waivers=[waiver()]))
    assert (found.status, found.stops) == ("violates", False)
    assert report.summary([found])["waived"] == 1
    text = [line.text for line in report.lines("local", 3, [found])]
    assert "  T1 small (waived, mandatory, high)" in text
    assert f"    waived until {TODAY} by ann: It moves in spring." in text
    (record,) = report.document("local", 3, [found])["findings"]
    assert (record["status"], record["waiver"]["owner"]) == ("waived", "ann")


@pytest.mark.parametrize(
    "about",
    [
        {"expires": "2026-05-31"},
        {"resource": "*"},
        {"resource": "*/one"},
        {"resource": "serving"},
        {"resource": "serving/"},
        {"resource": "tracking/*"},
        {"rule": "T2"},
    ],
)
def test_a_waiver_that_has_ended_is_too_wide_or_for_others_waives_nothing(about: Any) -> None:
    assert ask({"a": 11}, setting(3, waivers=[waiver(**about)]))[0].stops


def test_a_rule_that_failed_cannot_be_waived() -> None:
    def check(_resource: Resource, _stack: Stack) -> Iterator[Violation]:
        raise ValueError

    told = setting(3, waivers=[waiver()])
    assert ask({}, told, dataclasses.replace(SIZES, check=check))[0].stops


def test_the_rule_about_waivers_cannot_be_waived() -> None:
    known = [rule for rule in rules() if rule.id == "M18"]
    told = setting(3, waivers=[waiver(rule="M18", resource="platform/platform")])
    platform = made_up("platform/platform", {"type": "terrace:platform:Platform"})
    (found,) = evaluate([platform], told, known, TODAY)
    assert found.stops


def test_a_report_is_grouped_by_resource_with_property_and_fix() -> None:
    three = [made_up(f"serving/{name}", {"variables": {"sizes": {"a": 11, "b": 1}}}) for name in ("x", "y", "x")]
    found = evaluate(three, setting(2), [SIZES], TODAY)
    found += evaluate([made_up("serving/z", {"variables": {}})], setting(2), [SIZES], TODAY)
    text = [line.text for line in report.lines("local", 2, found)]
    assert text == [
        "local: tier 2, 1 rules: 1 passed, 3 advisory",
        "serving/x",
        *["  T1 small (violated, advisory, high)", "    variables.sizes.a: a is large", "    fix: make `size` smaller"]
        * 2,
        "serving/y",
        *["  T1 small (violated, advisory, high)", "    variables.sizes.a: a is large", "    fix: make `size` smaller"],
    ]


def test_what_is_unknown_or_of_another_kind_is_read_without_failing() -> None:
    value = Value({"n": 1.5, "t": True, "l": ["a", {"b": "c"}], "u": UNKNOWN, "j": '{"x": 1}'}, "p")
    assert (value["n"].number, value["t"].number, value["t"].is_true, value["n"].text) == (1.5, None, True, "")
    assert [each.path for each in value["l"].texts()] == ["p.l[0]", "p.l[1].b"]
    assert value["absent"]["deeper"].is_there is False
    assert value["j"].parsed()["x"].number == 1
    assert value["n"].parsed().is_there is False
    assert Value("[" * 100_000, "p").parsed().is_there is False
    assert Value(float("nan"), "p").number is None
    for ask_it in (lambda v: v.text, lambda v: v["x"], lambda v: list(v), lambda v: v.is_there, lambda v: v.number):
        with pytest.raises(UndeterminedError) as caught:
            ask_it(value["u"])
        assert caught.value.path == "p.u"


def test_of_a_configuration_only_what_rules_need_is_kept() -> None:
    platform = (
        '{"compliance":["gdpr"],"notify":{"email":{"password":"s3cr3t"}},"network":{"proxy":"http://a:s3cr3t@b"}}'
    )
    told = Setting.of_config("local", {"terrace:tier": "3", "terrace:target": "host", "terrace:platform": platform})
    assert (told.tier, told.compliance, told.strictness) == (3, ("gdpr",), 3)
    assert "s3cr3t" not in repr(told)
