"""Values with outputs in them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from terrace.whole import whole


def resolved(make: Callable[[], Any], *, secret: bool = False) -> tuple[Any, bool]:
    """Return what the whole of ``make()`` holds, and whether that is secret."""

    async def both() -> tuple[Any, bool]:
        output = whole(make(), secret=secret)
        return await output.future(), await output.is_secret()

    return asyncio.run(both())


@pytest.mark.parametrize("value", [1, "text", None, [], {}, {"a": [1, {"b": None}]}, [[], [{}]]])
def test_what_has_no_outputs_is_itself(value: Any) -> None:
    assert resolved(lambda: value) == (value, False)


def test_outputs_are_filled_in_wherever_they_are() -> None:
    def made() -> Any:
        inner = pulumi.Output.from_input("inner")
        nested = pulumi.Output.from_input(1).apply(lambda one: {"deep": [inner, one]})
        return {"a": [inner, {"b": nested}], "c": ("t", inner)}

    assert resolved(made) == ({"a": ["inner", {"b": {"deep": ["inner", 1]}}], "c": ["t", "inner"]}, False)


def test_one_secret_makes_the_whole_secret() -> None:
    made = resolved(lambda: {"open": 1, "files": [{"content": pulumi.Output.secret("s3cret")}]})
    assert made == ({"open": 1, "files": [{"content": "s3cret"}]}, True)


def test_what_is_not_known_yet_leaves_the_whole_unknown() -> None:
    async def is_known() -> bool:
        unknown: asyncio.Future[bool] = asyncio.Future()
        unknown.set_result(False)
        held: asyncio.Future[Any] = asyncio.Future()
        held.set_result(None)
        return await whole({"open": 1, "later": pulumi.Output(set(), held, unknown)}).is_known()

    assert asyncio.run(is_known()) is False


def test_it_is_secret_where_that_is_asked_for() -> None:
    assert resolved(lambda: {"open": 1}, secret=True) == ({"open": 1}, True)
