"""Runs the user's program in this process, as often as wanted, as the Pulumi CLI's language host runs it in its own."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import os
import queue
import re
import runpy
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pulumi
import pulumi.runtime

from terrace.engine.dynamic import clean_pickling
from terrace.engine.errors import UnsupportedError
from terrace.engine.model import Severity
from terrace.engine.waiting import patient_waiting

_capturing: contextvars.ContextVar[bool] = contextvars.ContextVar("terrace_engine_capturing", default=False)
# The SDK parks a thread for each registration that waits for its turn, so it needs more threads than run at once.
_THREADS_PER_TURN = 4
# What the SDK says when a program uses a feature that an engine doesn't say it has.
_MISSING_FEATURE = re.compile(r"The Pulumi CLI does not support (?:the )?(.+?)\. Please update the Pulumi CLI\.")


@dataclass(frozen=True)
class Run:
    """What a program gets to see.

    Attributes:
        project: The project's name.
        stack: The stack's name.
        root: The project's folder.
        main: The program's folder.
        config: Configuration values by full key.
        secret_keys: Which of them are secret.
        preview: Whether it is a preview.
        parallel: How many resources may be worked on at once.
    """

    project: str
    stack: str
    root: Path
    main: Path
    config: dict[str, str]
    secret_keys: list[str]
    preview: bool
    parallel: int


class ProgramError(Exception):
    """The program raised; the message is what to show."""


def run_program(run: Run, monitor: Any, engine: Any, program: Callable[[], None] | None) -> None:
    """Run the program until it and everything that it registered is done.

    Args:
        run: What it gets to see.
        monitor: Receives what it registers.
        engine: Receives its messages.
        program: A function, instead of ``__main__.py`` in ``run.main``.

    Raises:
        ProgramError: The program failed.
        UnsupportedError: It uses a feature that this engine doesn't have.
    """
    _configure(run, monitor, engine)
    loop = asyncio.new_event_loop()
    loop.set_default_executor(DaemonThreads(max(run.parallel, 1) * _THREADS_PER_TURN))
    # The SDK leaves futures of a failed run unobserved; asyncio would print each.
    loop.set_exception_handler(lambda *_: None)
    try:
        main = program or (lambda: _run_main(run.main))
        with clean_pickling(), patient_waiting():
            loop.run_until_complete(pulumi.runtime.run_in_stack(main))
    except pulumi.RunError as error:
        raise ProgramError(str(error)) from error
    except SystemExit as error:
        if error.code not in (None, 0):
            raise ProgramError(f"the program exited with {error.code}") from error
    except Exception as error:
        if (missing := _MISSING_FEATURE.fullmatch(str(error))) is not None:
            raise _unsupported(missing[1]) from error
        raise ProgramError(_users_trace(error, run.main)) from error
    finally:
        _drop_tasks(loop)
        loop.close()


def _configure(run: Run, monitor: Any, engine: Any) -> None:
    pulumi.runtime.settings.ROOT.set(None)
    pulumi.runtime.set_all_config(run.config, run.secret_keys)
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=run.project,
            stack=run.stack,
            monitor=monitor,
            engine=engine,
            parallel=run.parallel,
            dry_run=run.preview,
            organization="organization",
            root_directory=str(run.root),
        )
    )


def _run_main(main: Path) -> None:
    if not (main / "__main__.py").is_file():
        raise pulumi.RunError(f"there is no __main__.py in {main}")
    # Python remembers for good which folder "." was when it was first looked up.
    sys.path_importer_cache.pop(".", None)
    runpy.run_path(".", run_name="__main__")


def _unsupported(feature: str) -> UnsupportedError:
    return UnsupportedError(f"the program uses {feature}: the embedded engine can't", fix="use --engine pulumi")


def _users_trace(error: Exception, main: Path) -> str:
    """The traceback from the first line of the user's program on."""
    frames = traceback.extract_tb(error.__traceback__)
    first = next(
        (index for index, frame in enumerate(frames) if Path(frame.filename).resolve().is_relative_to(main)), 0
    )
    lines = traceback.format_list(frames[first:]) + traceback.format_exception_only(error)
    return "".join(lines).strip()


def _drop_tasks(loop: asyncio.AbstractEventLoop) -> None:
    pending = asyncio.all_tasks(loop)
    for task in pending:
        task.cancel()
    if pending:
        loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))


@contextlib.contextmanager
def surroundings(main: Path, say: Callable[[Severity, str, str], None]) -> Iterator[None]:
    """The program's working folder and module path, with what it and its providers print captured.

    Modules of the program's folder are forgotten afterwards, so that a second run starts afresh.
    """
    folder, path, argv = Path.cwd(), list(sys.path), sys.argv
    before = set(sys.modules)
    out, err = sys.stdout, sys.stderr
    captured = (_Captured(out, say), _Captured(err, say))
    os.chdir(main)
    sys.path.insert(0, str(main))
    sys.argv = ["."]
    sys.stdout, sys.stderr = captured
    _capturing.set(True)
    try:
        yield
    finally:
        _capturing.set(False)
        for stream in captured:
            stream.finish()
        sys.stdout, sys.stderr = out, err
        sys.argv = argv
        sys.path[:] = path
        os.chdir(folder)
        _forget_modules(main, set(sys.modules) - before)


def _forget_modules(main: Path, loaded: set[str]) -> None:
    for name in loaded:
        file = getattr(sys.modules.get(name), "__file__", None)
        if file and Path(file).resolve().is_relative_to(main):
            del sys.modules[name]


@contextlib.contextmanager
def threads(count: int) -> Iterator[Callable[..., Future[Any]]]:
    """Daemon threads; gives the function that has a call made in one of them."""
    pool = DaemonThreads(count)
    try:
        yield pool.submit
    finally:
        pool.shutdown()


class _Captured(io.TextIOBase):
    """A stream that turns the program's lines into messages, and lets everybody else's text through."""

    def __init__(self, original: TextIO, say: Callable[[Severity, str, str], None]) -> None:
        self._original = original
        self._say = say
        self._lock = threading.Lock()
        self._rest = ""

    def write(self, text: str) -> int:
        if not _capturing.get():
            return self._original.write(text)
        with self._lock:
            *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say("info", "", line)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        # A display that wraps the stream itself (rich's live display does) must find what it wrapped.
        return getattr(self._original, name)

    def flush(self) -> None:
        if not _capturing.get():
            self._original.flush()

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return not _capturing.get() and self._original.isatty()

    def fileno(self) -> int:
        return self._original.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override] # io.TextIOBase has a writable attribute; nobody sets this one
        return self._original.encoding

    def finish(self) -> None:
        """Say what stands after the last newline."""
        rest, self._rest = self._rest, ""
        if rest:
            self._say("info", "", rest)


class DaemonThreads(ThreadPoolExecutor):
    """Threads that don't keep the process alive: a second Ctrl-C ends it even while a provider still works."""

    def __init__(self, count: int) -> None:
        super().__init__(max_workers=1)  # the base class's own thread is never started
        self._count = count
        self._jobs: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._alive = 0
        self._free = threading.Semaphore(0)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a thread call ``fn``; a new one as long as there may be more."""
        future: Future[Any] = Future()
        self._jobs.put((future, lambda: fn(*args, **kwargs)))
        if not self._free.acquire(blocking=False) and self._alive < self._count:
            self._alive += 1
            threading.Thread(target=self._work, daemon=True).start()
        return future

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            future, call = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del job, future, call
            self._free.release()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the base's shape
        """End the threads, each after its current job; never waits."""
        for _ in range(self._alive):
            self._jobs.put(None)
