"""Which service sends, by what it shows: for a cluster, where no kernel knows who is at the other end."""

from __future__ import annotations

import hashlib
import hmac
import re

SCHEME = "Bearer "
TOKEN = re.compile(r"([a-z][a-z0-9-]*):([0-9a-f]{64})")


def token(key: bytes, source: str) -> str:
    """Return what ``source`` shows: its name, sealed by the key that the log has."""
    return f"{source}:{hmac.new(key, source.encode(), hashlib.sha256).hexdigest()}"


def source_of(key: bytes, header: str) -> str | None:
    """Return whose token an ``Authorization`` header holds; None where it holds none that is right."""
    found = TOKEN.fullmatch(header.removeprefix(SCHEME)) if header.startswith(SCHEME) else None
    return found[1] if found and hmac.compare_digest(token(key, found[1]), found[0]) else None
