"""One cleaning: what is removed in which order, and what is noted of it, whatever fails or is killed."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Protocol

from .choice import Found, Holds, due, held, seen
from .records import Records
from .telling import event

LOG = logging.getLogger(__name__)


class Tracking(Protocol):
    """MLflow, as a cleaning needs it."""

    def found(self) -> list[Found]:
        """Return what is deleted, and what lies in experiments that are."""

    def holds(self) -> Holds:
        """Return what must keep its artifacts."""

    def size(self, found: Found) -> int:
        """Return how much its artifacts take (bytes)."""

    def remove(self, found: Found) -> None:
        """Remove it for good; raises where it can't, or where it isn't deleted any more."""


def clean(tracking: Tracking, records: Records, days: int) -> None:
    """Remove what has been deleted for ``days``; what can't be removed is noted, and the rest goes on."""
    now, found = time.time(), tracking.found()
    _finish(records, {each.key for each in found})
    reasons = held(found, tracking.holds())
    since = seen(found, reasons, records.seen(), now)
    records.keep_seen(since)
    going = due(found, reasons, since, days, now)
    staying = [key for key in since if key in reasons]
    records.note(held=len(staying), waiting=len(since) - len(staying) - len(going), failed=0)
    for key in staying:
        LOG.info("%s stays: %s", key, reasons[key])
    for each in going:
        _remove(tracking, records, each)
    LOG.info("%s of %s that were deleted are due, and %s held", len(going), len(since), len(staying))


def _remove(tracking: Tracking, records: Records, each: Found) -> None:
    try:
        if reason := _hindrance(tracking, each):
            LOG.info("%s stays: %s", each.key, reason)
            return
        size = tracking.size(each)
        records.note(removing={"key": each.key, "size": size, "event": event(each, size, time.time())})
        tracking.remove(each)
    except Exception:
        LOG.exception("%s could not be removed", each.key)
        records.note(failed=records.state()["failed"] + 1, removing=None)
    else:
        _finish(records, ())
        LOG.info("%s is removed, with %s bytes of artifacts", each.key, size)


def _hindrance(tracking: Tracking, each: Found) -> str:
    """Return what keeps something since it was looked at; a cleaning may take long."""
    around = tracking.found() if each.kind == "experiment" else [each]
    if each.key not in {other.key for other in around}:
        return "it was restored"
    return held(around, tracking.holds()).get(each.key, "")


def _finish(records: Records, left: Iterable[str]) -> None:
    """Note that what was being removed is, also by a cleaning that was killed; unless it's still there."""
    state = records.state()
    last = state["removing"]
    if last and last["key"] not in left:
        kind = last["key"].partition(" ")[0]
        records.keep_seen({key: moment for key, moment in records.seen().items() if key != last["key"]})
        records.add_untold(last["event"])
        records.note(
            removed=state["removed"] | {kind: state["removed"][kind] + 1},
            freed_bytes=state["freed_bytes"] + last["size"],
            removing=None,
        )
