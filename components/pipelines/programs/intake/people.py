"""The people of the team who have an account here, from a file that changes while the service runs."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

RIGHTS = ("read", "use", "edit", "manage")  # each includes those before it


class People:
    """Accounts with salted hashes of their passwords: JSON ``[{name, salt, digest, right}]``.

    A change of the file counts from the next request on. The passwords are random and 192 bits long, so one round of
    SHA-256 is enough: nobody can search for them.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._seen: tuple[int, int] | None = None
        self._accounts: dict[str, dict[str, str]] = {}

    def right(self, given: bytes) -> str | None:
        """Return the right of the account whose ``name:password`` is given; None where there is none."""
        self._read()
        name, _, password = given.decode(errors="replace").partition(":")
        account = self._accounts.get(name)
        if account is None:
            return None
        digest = hashlib.sha256(f"{account['salt']}:{password}".encode()).hexdigest()
        return account["right"] if hmac.compare_digest(digest, account["digest"]) else None

    def right_of(self, name: str) -> str | None:
        """Return the right of the account called ``name``, whoever asks; None where there is none."""
        self._read()
        account = self._accounts.get(name)
        return account["right"] if account else None

    def mark_of(self, name: str) -> str:
        """Return what changes with the password of ``name``, for what was given for it; empty where there is none."""
        self._read()
        account = self._accounts.get(name)
        return mark(f"{account['salt']}:{account['digest']}".encode()) if account else ""

    def _read(self) -> None:
        if self._file is None:
            return
        found = self._file.stat()
        if (found.st_ino, found.st_mtime_ns) != self._seen:
            accounts = json.loads(self._file.read_text(encoding="utf-8"))
            self._accounts = {account["name"]: account for account in accounts}
            self._seen = (found.st_ino, found.st_mtime_ns)


def mark(secret: bytes) -> str:
    """Return what tells one ``secret`` from another, and nothing of it."""
    return hashlib.sha256(b"mark:" + secret).hexdigest()[:32]
