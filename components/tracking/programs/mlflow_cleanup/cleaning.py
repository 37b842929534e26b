"""One cleaning: what is removed in which order, and what is noted of it, whatever fails or is killed."""

from __future__ import annotations

import logging
import time
from typing import Protocol

from .choice import Found, Holds, Kind, due, held, seen
from .records import Records
from .telling import event

LOG = logging.getLogger(__name__)


class Tracking(Protocol):
    """MLflow, as a cleaning needs it."""

    def found(self) -> list[Found]:
        """Return what is deleted, and what lies in experiments that are."""

    def now(self, kind: Kind, id_: str) -> Found | None:
        """Return something as it is now; None where it isn't there any more."""

    def holds(self) -> Holds:
        """Return what must keep its artifacts."""

    def size(self, found: Found) -> int:
        """Return how much its artifacts take (bytes)."""

    def remove(self, found: Found) -> None:
        """Remove it for good; raises where it can't, or where it isn't deleted any more."""


def clean(tracking: Tracking, records: Records, days: int) -> None:
    """Remove what has been deleted for ``days``; what can't be removed is noted, and the rest goes on."""
    _settle(tracking, records)
    now, found = time.time(), tracking.found()
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
        size = tracking.size(each)
        if reason := _hindrance(tracking, each):
            LOG.info("%s stays: %s", each.key, reason)
            return
        removing = {"kind": each.kind, "id": each.id, "size": size, "event": event(each, size, time.time())}
        records.note(removing=removing)
        tracking.remove(each)
    except Exception:
        LOG.exception("%s could not be removed", each.key)
        records.note(failed=records.state()["failed"] + 1, removing=None)
    else:
        _note_removed(records)
        LOG.info("%s is removed, with %s bytes of artifacts", each.key, size)


def _hindrance(tracking: Tracking, each: Found) -> str:
    """Return what keeps something since it was looked at; a cleaning may take long."""
    if tracking.now(each.kind, each.id) != each:
        return "somebody changed it meanwhile"
    around = tracking.found() if each.kind == "experiment" else [each]
    return held(around, tracking.holds()).get(each.key, "")


def _settle(tracking: Tracking, records: Records) -> None:
    """Note how the removal ended in which a cleaning was killed: it's gone, or was never removed."""
    if last := records.state()["removing"]:
        if tracking.now(last["kind"], last["id"]) is None:
            _note_removed(records)
        else:
            records.note(removing=None)


def _note_removed(records: Records) -> None:
    state = records.state()
    last = state["removing"]
    key = f"{last['kind']} {last['id']}"
    records.keep_seen({each: moment for each, moment in records.seen().items() if each != key})
    records.add_untold(last["event"])
    records.note(
        removed=state["removed"] | {last["kind"]: state["removed"][last["kind"]] + 1},
        freed_bytes=state["freed_bytes"] + last["size"],
        removing=None,
    )
