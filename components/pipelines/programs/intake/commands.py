"""Running one program: its output into a log, with a time limit, and stopped together with all it started."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..contract.records import ProcessGroup
from .logs import StepLog
from .processes import end_run, group_led_by

# How long a program that was asked to stop may take before it is killed (seconds).
GRACE_SECONDS = 10.0
# How long its last output may take to arrive once it has ended (seconds).
DRAIN_SECONDS = 5.0
READ_BYTES = 64 * 1024
# What a shell answers for a program that isn't there, or can't be run.
NOT_FOUND, NOT_EXECUTABLE = 127, 126


@dataclass(frozen=True)
class Command:
    """A program to run: its words, where, with which variables, and for which run."""

    words: Sequence[str]
    folder: Path
    environment: Mapping[str, str]
    run_id: str


@dataclass(frozen=True)
class Ended:
    """How a program ended: its exit code (128 + n for signal n), and whether it had to be ended."""

    exit_code: int
    because: Literal["itself", "timeout", "stopped"] = "itself"


def how_it_ended(ended: Ended, seconds: float) -> str:
    """Return the end of a sentence that begins with who ended; it had ``seconds``."""
    if ended.because == "timeout":
        return f"took longer than {seconds:.0f} s and was ended"
    return ("was stopped" if ended.because == "stopped" else "ended") + f" with exit code {ended.exit_code}"


async def execute(
    command: Command,
    log: StepLog,
    *,
    seconds: float,
    stop: asyncio.Event,
    started: Callable[[ProcessGroup], None],
) -> Ended:
    """Run ``command`` until it ends, ``seconds`` are over, or ``stop`` is set; nothing that it started is left.

    Args:
        command: What to run.
        log: Where its output goes.
        seconds: The longest time that it may take.
        stop: Set from outside to end it early.
        started: Told its process group as soon as it runs.
    """
    read_end, write_end = os.pipe()
    try:
        process = await _start(command, write_end)
    except OSError as error:
        os.close(read_end)
        log.note(f"{command.words[0]} can't be run: {error.strerror}: {error.filename}")
        return Ended(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    finally:
        os.close(write_end)
    started(group_led_by(process.pid))
    pump = asyncio.create_task(_pump(read_end, log))
    try:
        because = await _wait(process, seconds, stop)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await asyncio.to_thread(end_run, command.run_id, None)
        await process.wait()
        await _drain(pump)
    code = process.returncode or 0
    return Ended(code if code >= 0 else 128 - code, because)


async def _start(command: Command, output: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *command.words,
        cwd=command.folder,
        env=dict(command.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


async def _wait(
    process: asyncio.subprocess.Process, seconds: float, stop: asyncio.Event
) -> Literal["itself", "timeout", "stopped"]:
    ended = asyncio.ensure_future(process.wait())
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({ended, stopping}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            return "itself"
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await asyncio.wait({ended}, timeout=GRACE_SECONDS)
        return "stopped" if stopping.done() else "timeout"
    finally:
        stopping.cancel()


async def _pump(read_end: int, log: StepLog) -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb", buffering=0)
    )
    try:
        while data := await reader.read(READ_BYTES):
            log.write(data)
    finally:
        transport.close()


async def _drain(pump: asyncio.Task[None]) -> None:
    # Only a process that no longer carries the run's id could still hold the pipe open; it isn't waited for.
    await asyncio.wait({pump}, timeout=DRAIN_SECONDS)
    pump.cancel()
    await asyncio.gather(pump, return_exceptions=True)
