"""Has actions carried out, as many at once as wanted, and tells how each ended."""

from __future__ import annotations

import threading

from terrace.engine.action import Action
from terrace.engine.errors import CancelledError, StepError
from terrace.engine.report import Report
from terrace.engine.steps import Steps
from terrace.errors import TerraceError


class Executor:
    """Does what the planner decided.

    Args:
        steps: Do what each action says.
        report: Told about each step.
        parallel: How many providers' calls may run at once.
    """

    def __init__(self, steps: Steps, report: Report, *, parallel: int) -> None:
        self._steps = steps
        self._report = report
        self._turn = threading.Semaphore(parallel)
        self._running = 0
        self._idle = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """Begin nothing any more. What runs goes on to its end."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped

    def wait(self) -> None:
        """Wait until nothing runs."""
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0)

    def run(self, action: Action) -> None:
        """Carry one action out.

        Raises:
            StepError: It failed, and was reported.
            CancelledError: The operation was stopped before its turn came.
        """
        with self._turn:
            self._enter()
            try:
                self._run(action)
            finally:
                self._leave()

    def _enter(self) -> None:
        with self._idle:
            if self._stopped:
                raise CancelledError("the operation was stopped", where="")
            self._running += 1

    def _leave(self) -> None:
        with self._idle:
            self._running -= 1
            self._idle.notify_all()

    def _run(self, action: Action) -> None:
        self._report.hide([action.resource.inputs, action.resource.outputs])
        since = self._report.started(action)
        try:
            self._steps.do(action)
        except Exception as error:  # a provider's exception can be anything
            message = describe(error)
            self._report.failed(action, message)
            raise StepError(self._report.redact(message), where=action.resource.urn) from None
        self._report.done(action, since)


def describe(error: Exception) -> str:
    """What went wrong, in words. The resource is told apart, so a step's error doesn't name it again."""
    if isinstance(error, StepError):
        return str(StepError(error.what, why=error.why, fix=error.fix))
    if isinstance(error, TerraceError):
        return str(error)
    text = str(error).strip()
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
