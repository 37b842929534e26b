"""Runs operations in forked children, some of which it kills.

A child has all imports and the passphrase's key already, so that a few hundred of them take no time to speak of. The
process that forks them (``python -m tests.engine.kill_server``) has one thread only; a test's process has more.
"""

from __future__ import annotations

import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import terrace.engine.operation
import terrace.engine.program  # noqa: F401 - what an operation imports when it needs it
from terrace.engine import Event, RecoveryNotice, Result
from terrace.engine.secrets import Crypter
from tests.engine.engine_world import PASSPHRASE, REPOSITORY, SALT
from tests.engine.random_programs import Program
from tests.engine.random_shelf import PAUSE, open_stack

_SECONDS_OF_A_CALL = 0.01


@dataclass(frozen=True)
class Job:
    """One operation.

    Attributes:
        root: The folder of the world.
        operation: What is done.
        program: The program.
        seconds: When to kill it; never if it is None.
    """

    root: Path
    operation: str
    program: Program
    seconds: float | None = None


@dataclass(frozen=True)
class Ending:
    """How an operation ended.

    Attributes:
        killed: Whether it was killed.
        seconds: How long it took.
        result: Its result, unless it was killed.
        notice: What it said about an operation that had been killed before.
    """

    killed: bool
    seconds: float
    result: Result | None = None
    notice: RecoveryNotice | None = None


class KillServer:
    """The process that forks. A context manager."""

    def __enter__(self) -> KillServer:
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            cwd=REPOSITORY,
            env={**os.environ, PAUSE: str(_SECONDS_OF_A_CALL)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._process.communicate()  # the end of its input is its end

    def run(self, job: Job) -> Ending:
        """Have a child do it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        pickle.dump(job, self._process.stdin)
        self._process.stdin.flush()
        ending: Ending = pickle.load(self._process.stdout)
        return ending


def _run(job: Job) -> Ending:
    done = job.root / "done"
    done.unlink(missing_ok=True)
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _work(job, done)
    handle = os.pidfd_open(child)
    if job.seconds is not None and not select.select([handle], [], [], job.seconds)[0]:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    seconds = time.monotonic() - start
    os.close(handle)
    if os.WIFSIGNALED(status):
        return Ending(killed=True, seconds=seconds)
    result, notices = pickle.loads(done.read_bytes())
    return Ending(killed=False, seconds=seconds, result=result, notice=next(iter(notices), None))


def _work(job: Job, done: Path) -> None:
    """What a child does; never returns."""
    try:
        notices: list[RecoveryNotice] = []

        def remember(event: Event) -> None:
            if isinstance(event, RecoveryNotice):
                notices.append(event)

        result = getattr(open_stack(job.root, job.program), job.operation)(on_event=remember)
        done.write_bytes(pickle.dumps((result, notices)))
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def serve() -> None:
    """Do what comes in until nothing more comes."""
    Crypter(SALT, lambda: PASSPHRASE, "here").unlock()  # the key is kept
    assert threading.active_count() == 1
    gc.freeze()  # so that children don't copy what is there already
    while True:
        try:
            job = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_run(job), sys.stdout.buffer)
        sys.stdout.buffer.flush()
