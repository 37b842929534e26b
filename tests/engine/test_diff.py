"""Differences of inputs, and what options make of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from terrace.engine.diff import Diff, apply_replace_on_changes, ignore_changes, inputs_differ, property_changes
from terrace.engine.secrets import Crypter
from terrace.engine.values import UNKNOWN, Secret, decode, encode, equal
from tests.engine.engine_world import World


def test_the_paths_that_differ() -> None:
    diff = inputs_differ(
        {"a": 1.0, "b": {"c": [1, 2]}, "d": 1, "s": Secret("x")}, {"a": 1, "b": {"c": [1, 3, 4]}, "e": 1, "s": "x"}
    )
    assert diff.changed
    assert set(diff.detailed) == {("b", "c", 1), ("b", "c", 2), ("d",), ("e",)}
    assert diff.changed_keys == ("b", "d", "e")
    assert not diff.replace


def test_nothing_differs() -> None:
    assert not inputs_differ({"a": [{"b": Secret(1)}]}, {"a": [{"b": Secret(1.0)}]}).changed


@pytest.mark.parametrize(
    ("option", "replaced"), [("a", True), ("a.b", True), ("a.c", False), ("b", False), ("*", True), ("a.*", True)]
)
def test_replace_on_changes(option: str, replaced: bool) -> None:
    diff = inputs_differ({"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 1}})
    assert apply_replace_on_changes(diff, [option]).replace is replaced


def test_replace_on_changes_needs_a_change() -> None:
    assert not apply_replace_on_changes(Diff(changed=False, changed_keys=("a",)), ["a"]).replace


def test_a_providers_own_replacement_stays() -> None:
    diff = apply_replace_on_changes(Diff(changed=True, replace_keys=("a",), delete_first=True), [])
    assert diff.replace
    assert diff.delete_first


def test_ignoring_leaves_what_was_given_alone(crypter: Crypter) -> None:
    old = decode(encode({"password": Secret("old"), "deep": {"a": Secret("old")}}, crypter), crypter)
    new: dict[str, Any] = {"password": Secret("new"), "deep": {"a": Secret("new")}}
    result, impossible = ignore_changes(new, old, ["password", "deep.a"])
    assert impossible == []
    assert equal(result, {"password": Secret("old"), "deep": {"a": Secret("old")}})
    assert equal(new, {"password": Secret("new"), "deep": {"a": Secret("new")}})


def test_what_cannot_be_ignored_is_named() -> None:
    result, impossible = ignore_changes({"list": [1, 2]}, {"list": [3]}, ["list[0]", "list[1]"])
    assert (result, impossible) == ({"list": [3, 2]}, ["list[1]"])


def test_shown_changes_hide_secrets() -> None:
    old = {"a": Secret({"b": "x"}), "c": "open", "gone": Secret("y"), "__provider": "p", "same": 1}
    new = {"a": Secret({"b": "z"}), "c": Secret("closed"), "came": [Secret("w"), UNKNOWN], "__provider": "q", "same": 1}
    changes = property_changes(old, new, Diff(changed=True, replace_keys=("c",)))
    shown = {change.path: (change.kind, change.old, change.new, change.replaces) for change in changes}
    assert shown == {
        "a.b": ("update", "[secret]", "[secret]", False),
        "c": ("update", "[secret]", "[secret]", True),
        "gone": ("delete", "[secret]", None, False),
        "came": ("add", None, ["[secret]", "[unknown]"], False),
        "__provider": ("update", "[secret]", "[secret]", False),
    }


def test_shown_changes_name_the_path_that_replaces() -> None:
    old, new = {"a": {"b": 1, "c": 1}}, {"a": {"b": 2, "c": 2}}
    diff = apply_replace_on_changes(inputs_differ(old, new), ["a.b"])
    assert {change.path: change.replaces for change in property_changes(old, new, diff)} == {"a.b": True, "a.c": False}


IGNORING = """
    options = pulumi.ResourceOptions(ignore_changes=["password", "nested.key"])
    password = pulumi.Output.secret(f"pa55word-{stage}")
    Thing("a", options, password=password, nested={"key": password, "open": 1})
"""


def test_an_ignored_secret_keeps_its_value(world: World) -> None:
    world.write(IGNORING)
    assert world.run("up", 1).ok
    (before,) = [raw for raw in world.state() if raw["urn"] == world.urn("a")]
    assert before["inputs"]["password"] == {"secret": "pa55word-1"}
    again = world.run("up", 2)
    assert again.ok
    assert again.summary == {"same": 2}
    assert before in world.state()
    assert world.calls() == [("create", "a")]
    assert "pa55word" not in world.checkpoint.read_text(encoding="utf-8")
    thing = json.loads((world.root / "things/a.json").read_text(encoding="utf-8"))
    assert thing["password"] == "pa55word-1"


def test_an_ignored_element_that_came_is_told(world: World) -> None:
    world.write('Thing("a", pulumi.ResourceOptions(ignore_changes=["list[1]"]), list=[1] * stage)')
    assert world.run("up", 1).ok
    said: list[str] = []
    assert world.run("up", 2, on_event=lambda event: said.append(str(event))).ok
    assert any("cannot ignore changes in added or removed elements of list[1]" in text for text in said)
