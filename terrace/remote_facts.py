"""What other hosts say of an environment's roles, asked once for the many resources that want to know."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from terrace import remote
from terrace.errors import OperationError

FRESH_SECONDS = 10.0

Answer = dict[str, Any] | OperationError
_known: dict[str, tuple[float, Answer]] = {}
_locks: dict[str, threading.Lock] = {}
_lock = threading.Lock()


def of(host: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """Return what `terrace.host_facts.look` finds on the host, at most ten seconds old.

    Raises:
        OperationError: The host can't be reached; also said again without a new try for ten seconds.
    """
    key = json.dumps([dict(host), environment], sort_keys=True)
    with _lock:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        found = _known.get(key)
        if found is None or time.monotonic() - found[0] > FRESH_SECONDS:
            answer = _ask(host, environment)
            found = _known[key] = (time.monotonic(), answer)
    if isinstance(found[1], OperationError):
        raise found[1]
    return found[1]


def forget() -> None:
    """Ask every host anew."""
    with _lock:
        _known.clear()


def _ask(host: Mapping[str, Any], environment: str) -> Answer:
    try:
        facts: dict[str, Any] = remote.call(host, "terrace.host_facts.look", environment)
    except OperationError as error:
        return error
    return facts
