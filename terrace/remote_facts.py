"""What other hosts say of an environment's roles, asked once for the many resources that want to know."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from typing import Any

from terrace import remote
from terrace.errors import OperationError

# What a host says changes by what is done to it, and that is forgotten then: one `up` asks a host that it leaves as it
# is once. One that can't be reached may be back soon.
FRESH_SECONDS = 60.0
AWAY_SECONDS = 10.0

Answer = dict[str, Any] | OperationError
Key = tuple[str, str]  # a host, as text, and an environment
_known: dict[Key, tuple[float, Answer]] = {}
_locks: dict[Key, threading.Lock] = {}
_lock = threading.Lock()


def of(host: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """Return what `terrace.host_facts.look` finds on the host, at most a minute old.

    Raises:
        OperationError: The host can't be reached; also said again without a new try for ten seconds.
    """
    key = (_text(host), environment)
    with _lock:
        lock = _locks.setdefault(key, threading.Lock())
    with lock:
        found = _known.get(key)
        if found is None or _is_old(*found):
            answer = _ask(host, environment)
            found = _known[key] = (time.monotonic(), answer)
    if isinstance(found[1], OperationError):
        raise found[1]
    return found[1]


def forget(host: Mapping[str, Any] | None = None) -> None:
    """Ask a host anew, or every one: something was done to it."""
    with _lock:
        for key in list(_known):
            if host is None or key[0] == _text(host):
                del _known[key]


def _text(host: Mapping[str, Any]) -> str:
    return json.dumps(dict(host), sort_keys=True)


def _is_old(at: float, answer: Answer) -> bool:
    return time.monotonic() - at > (AWAY_SECONDS if isinstance(answer, OperationError) else FRESH_SECONDS)


def _ask(host: Mapping[str, Any], environment: str) -> Answer:
    try:
        facts: dict[str, Any] = remote.call(host, "terrace.host_facts.look", environment)
    except OperationError as error:
        return error
    return facts
