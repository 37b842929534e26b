"""Tells the audit log what was removed. What nobody takes waits in the records, and is told later."""

from __future__ import annotations

import hashlib
import http.client
import json
import logging
from datetime import UTC, datetime
from typing import Any

from .choice import Found
from .records import Records

LOG = logging.getLogger(__name__)
ACTOR = "mlflow"
SECONDS = 30.0
AT_ONCE = 1000


def event(found: Found, size: int, now: float) -> dict[str, Any]:
    """Return the removal of something as an event. ``size`` is that of its artifacts (bytes)."""
    deleted = f"deleted {_day(found.deleted)}, " if found.deleted else ""
    of = "" if found.kind == "experiment" else f"of experiment {found.experiment}, "
    return {
        "id": hashlib.sha256(f"{found.key} {now}".encode()).hexdigest()[:32],
        "at": datetime.fromtimestamp(now, UTC).isoformat(),
        "actor": ACTOR,
        "action": "delete_for_good",
        "object": f"tracking: {'logged model' if found.kind == 'model' else found.kind} {found.id}",
        "outcome": "ok",
        "detail": f"{of}{deleted}{size} bytes of artifacts",
    }


def _day(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


def tell(records: Records, port: int | None) -> None:
    """Send what wasn't told yet to the audit log's port on loopback; without a port there is nobody to tell."""
    untold = records.untold()
    while untold:
        if port is not None and not _send(port, untold[:AT_ONCE]):
            return
        untold = untold[AT_ONCE:] if port is not None else []
        records.keep_untold(untold)


def _send(port: int, events: list[dict[str, Any]]) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("POST", "/events", json.dumps({"events": events}), {"Content-Type": "application/json"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        LOG.warning("the audit log is not told yet: %s", error)
        return False
    finally:
        connection.close()
    if status >= 300:
        LOG.warning("the audit log is not told yet: it answers %s", status)
    return status < 300
