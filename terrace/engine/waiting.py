"""Waits for everything that a program began, without the work that the SDK does meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

from pulumi.runtime import stack
from pulumi.runtime.settings import SETTINGS

# How often outputs that appeared meanwhile are looked for, so that one that fails ends the program.
_SECONDS = 0.1


@contextlib.contextmanager
def patient_waiting() -> Iterator[None]:
    """Have the SDK wait for all outputs at once.

    ``pulumi.runtime.stack.wait_for_rpcs`` (3.272) begins to wait for every pending output anew whenever one of them is
    done. With thousands of them it does nothing else, and takes the interpreter from the threads that they wait for.
    """
    wait = stack.wait_for_rpcs

    async def wait_patiently(*arguments: Any, **options: Any) -> None:
        await _settled()
        await wait(*arguments, **options)

    stack.wait_for_rpcs = wait_patiently
    try:
        yield
    finally:
        stack.wait_for_rpcs = wait


async def _settled() -> None:
    """Wait until no output is pending; raise what the first that fails raised, as the SDK does."""
    watched: set[asyncio.Task[Any]] = set()
    woken = asyncio.Event()

    def look(task: asyncio.Task[Any]) -> None:
        watched.discard(task)
        if not watched or task.cancelled() or task.exception() is not None:
            woken.set()

    while outputs := set(SETTINGS.outputs):
        for task in outputs:
            if task.done():  # the SDK forgets those that are done, except where they failed
                await task
        for task in outputs - watched:
            task.add_done_callback(look)
        watched |= outputs
        woken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(woken.wait(), _SECONDS)
