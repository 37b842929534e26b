"""Waiting for what a program began, which the SDK does by looking at everything again and again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.engine.engine_world import World


def test_waiting_for_many_outputs_looks_at_each_of_them_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    wait = asyncio.wait

    async def counted(awaitables: Any, **options: Any) -> Any:
        waits.append(len(list(awaitables)))
        return await wait(awaitables, **options)

    monkeypatch.setattr(asyncio, "wait", counted)
    world.write('for number in range(60): Thing(f"thing-{number}", value=str(number))\n')
    assert world.run("preview", 1).ok
    assert sum(waits) < 60


def test_an_output_that_fails_ends_the_program_with_its_error(world: World) -> None:
    world.write(
        """
        def refuse(_):
            raise ValueError("no such thing")

        Thing("first").urn.apply(refuse)
        Thing("second")
        """
    )
    result = world.run("preview", 1)
    assert not result.ok
    assert "ValueError: no such thing" in result.errors[0].message


def test_an_output_that_appears_while_others_are_awaited_is_awaited_too(world: World) -> None:
    world.write(
        """
        first = Thing("first")
        first.urn.apply(lambda _: Thing("second").urn.apply(lambda _: Thing("third")) and None)
        """
    )
    result = world.run("up", 1)
    assert result.ok
    assert world.things() == ["first", "second", "third"]
