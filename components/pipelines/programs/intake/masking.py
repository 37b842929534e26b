"""Keeps secrets out of a stream of bytes, wherever the stream is cut."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = b"***"


class Masker:
    """Replaces each secret in a stream by ``***``.

    What may be the beginning of a secret is held back until the next bytes tell.
    """

    def __init__(self, secrets: Iterable[bytes]) -> None:
        self._secrets = tuple(sorted({secret for secret in secrets if secret}, key=len, reverse=True))
        self._pattern = re.compile(b"|".join(re.escape(secret) for secret in self._secrets))
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the stream's next bytes and return those that can be shown."""
        if not self._secrets:
            return data
        text = self._held + data
        boundary = len(text) - self._unfinished(text)
        for match in self._pattern.finditer(text):
            if match.start() < boundary < match.end():
                boundary = match.start()
        self._held = text[boundary:]
        return self._pattern.sub(MASK, text[:boundary])

    def flush(self) -> bytes:
        """Return what was held back, at the stream's end."""
        rest, self._held = self._held, b""
        return self._pattern.sub(MASK, rest) if self._secrets else rest

    def _unfinished(self, text: bytes) -> int:
        """Return the length of the longest end of ``text`` that begins some secret."""
        longest = 0
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, len(text)), longest, -1):
                if text.endswith(secret[:length]):
                    longest = length
                    break
        return longest
