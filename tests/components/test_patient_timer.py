"""The timer by which the feature server looks at its registry again."""

from __future__ import annotations

import threading

import pytest

from components.feature_store.programs.patient_timer import PatientTimer


def test_what_failed_is_done_again_until_it_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    failures = iter([OSError("the database is away"), ValueError("half an answer")])
    calls = []

    def work() -> None:
        calls.append(1)
        if error := next(failures, None):
            raise error

    timer = PatientTimer(0.001, work)
    timer.start()
    timer.join(10)
    assert (len(calls), timer.is_alive()) == (3, False)
    assert "the database is away" in capsys.readouterr().out


def test_one_that_is_cancelled_ends() -> None:
    failed = threading.Event()

    def work() -> None:
        failed.set()
        raise OSError

    timer = PatientTimer(0.001, work)
    timer.start()
    assert failed.wait(10)
    timer.cancel()
    timer.join(10)
    assert not timer.is_alive()
