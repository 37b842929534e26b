"""Property paths, and putting old values back at them."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from terrace.engine.paths import contains, parse, reset, show
from terrace.engine.values import Secret, equal


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a", ("a",)),
        ("a.b[0]", ("a", "b", 0)),
        ('a["c.d"].e', ("a", "c.d", "e")),
        ('["say \\"hi\\""]', ('say "hi"',)),
        ("a.*", ("a", "*")),
        ("list[*].x", ("list", "*", "x")),
        ("broken[x", ("broken[x",)),
        ("a-b", ("a-b",)),
    ],
)
def test_parsing(text: str, path: tuple[str | int, ...]) -> None:
    assert parse(text) == path


@pytest.mark.parametrize("text", ["a", "a.b[0]", 'a["c.d"].e', '["say \\"hi\\""]', '["a-b"][2]'])
def test_showing_is_the_inverse_of_parsing(text: str) -> None:
    assert show(parse(text)) == text


def test_what_is_at_or_below_a_path() -> None:
    assert contains(("a",), ("a", 0))
    assert contains(("a", "*", "c"), ("a", 3, "c"))
    assert not contains(("a", "b"), ("a",))
    assert not contains(("a", "b"), ("a", "c"))


# (path, old, new, what new is afterwards); None instead of the last: it can't be done.
_RESETS: list[tuple[str, Any, Any, Any]] = [
    ("a", {"a": 1}, {"a": 2, "b": 2}, {"a": 1, "b": 2}),
    ("a", {"a": 1}, {}, {"a": 1}),
    ("a", {}, {"a": 2}, {}),
    ("a.b", {"a": {"b": 1}}, {"a": {"b": 2, "c": 3}}, {"a": {"b": 1, "c": 3}}),
    ("a.b", {"a": {"b": 1}}, {}, None),
    ("a.b", {}, {}, {}),
    ("a.b", {"a": {"b": 1}}, {"a": "text"}, None),
    ("a.b", {"a": "old"}, {"a": "new"}, {"a": "new"}),
    ("a.b.c", {"a": {"b": {}}}, {"a": "text"}, None),
    ("a.b.c", {"a": "old"}, {"a": "new"}, {"a": "new"}),
    ("a[1]", {"a": [1, 2]}, {"a": [3, 4]}, {"a": [3, 2]}),
    ("a[1].b", {"a": [{}, {"b": 1}]}, {"a": [{}, {"b": 2}]}, {"a": [{}, {"b": 1}]}),
    ("a[1]", {"a": [1]}, {"a": [3, 4]}, None),
    ("a[1]", {"a": [1]}, {"a": [3]}, {"a": [3]}),
    ("a[1].b", {"a": [1]}, {"a": [3]}, None),
    ("a[0]", {"a": [1]}, {"a": "text"}, None),
    ("a[0]", {"a": "old"}, {"a": "new"}, {"a": "new"}),
    ("a.*", {"a": {"b": 1}}, {"a": {"b": 2, "c": 2}}, {"a": {"b": 1}}),
    ("a.*", {"a": "old"}, {"a": {"b": 2}}, {"a": {"b": 2}}),
    ("a.*", {"a": {"b": 1}}, {"a": "text"}, None),
    ("a.*.b", {"a": {"x": {"b": 1}}}, {"a": {"x": {"b": 2}}}, {"a": {"x": {"b": 1}}}),
    ("a.*.b", {"a": {"x": {"b": 1}}}, {"a": {}}, None),
    ("a[*]", {"a": [1, 2]}, {"a": [3, 4]}, {"a": [1, 2]}),
    ("a[*].b", {"a": [{"b": 1}]}, {"a": [{"b": 2, "c": 2}]}, {"a": [{"b": 1, "c": 2}]}),
    ("a[*]", {"a": [1]}, {"a": [3, 4]}, None),
    ("a[*]", {"a": "old"}, {"a": [3]}, {"a": [3]}),
    ("a[*].b", {"a": "old"}, {"a": [{"b": 1}]}, None),
]


@pytest.mark.parametrize(("text", "old", "new", "expected"), _RESETS)
def test_putting_old_values_back(text: str, old: Any, new: Any, expected: Any) -> None:
    found = copy.deepcopy(new)
    assert reset(parse(text), old, found) is (expected is not None)
    if expected is not None:
        assert found == expected


@pytest.mark.parametrize(
    ("text", "old", "new", "expected"),
    [
        ("a", {"a": Secret("x")}, {"a": "y"}, {"a": Secret("x")}),
        ("a.b", {"a": Secret({"b": "x"})}, {"a": {"b": "y"}}, {"a": {"b": Secret("x")}}),
        ("a[0]", {"a": Secret(["x"])}, {"a": ["y"]}, {"a": [Secret("x")]}),
        ("a.*", {"a": Secret({"b": "x", "c": Secret("z")})}, {"a": {}}, {"a": {"b": Secret("x"), "c": Secret("z")}}),
        ("a.b", {"a": {"b": "x"}}, {"a": Secret({"b": "y"})}, {"a": Secret({"b": "x"})}),
        ("a.b", {"a": Secret({"b": "x"})}, {"a": Secret({"b": "y"})}, {"a": Secret({"b": "x"})}),
    ],
)
def test_what_was_secret_stays_secret(text: str, old: Any, new: Any, expected: Any) -> None:
    assert reset(parse(text), old, new)
    assert equal(new, expected)
