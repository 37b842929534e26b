"""Has actions carried out, as many at once as wanted, and tells how each ended."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from terrace.engine.action import Action
from terrace.engine.errors import CancelledError, StepError, describe
from terrace.engine.report import Report
from terrace.engine.state import Resource
from terrace.engine.steps import Steps


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
        self._falling: dict[Resource, threading.Event] = {}

    def expect(self, actions: Iterable[Action]) -> None:
        """Know what these actions will delete for a replacement, so that whoever makes it again waits for that."""
        self._falling.update({action.old: threading.Event() for action in actions if _falls(action) and action.old})

    def settle(self, actions: Iterable[Action]) -> None:
        """None of these actions will run any more."""
        for action in actions:
            if _falls(action) and action.old:
                self._falling[action.old].set()

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
        if action.op == "create-replacement" and action.delete_first:
            self._wait_for_deletion(action)
        with self._turn:
            self._enter()
            try:
                self._run(action)
            finally:
                self._leave()
        self.settle([action])

    def _wait_for_deletion(self, action: Action) -> None:
        """Another resource's replacement may be deleting it."""
        old = action.old
        if old in self._falling:
            self._falling[old].wait()
        if self._stopped:
            raise CancelledError("the operation was stopped", where=action.resource.urn)
        if old is not None and not old.pending_replacement:
            raise StepError("it couldn't be deleted before it is replaced", where=action.resource.urn)

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
        for resource in (action.old, action.new):
            if resource is not None and resource.custom:  # a stack's secret outputs hold words that are none
                self._report.hide([resource.inputs, resource.outputs])
        since = self._report.started(action)
        try:
            self._steps.do(action)
        except Exception as error:  # a provider's exception can be anything
            message = describe(error)
            self._report.failed(action, message)
            raise StepError(self._report.redact(message), where=action.resource.urn) from None
        if action.new is not None and action.new.custom:
            self._report.hide(action.new.outputs)
        self._report.done(action, since)


def _falls(action: Action) -> bool:
    return action.op == "delete-replaced" and action.delete_first
