"""The digest that tells bundles apart: of what they hold, not of how it was packed. Shared with clients."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple


class FileDigest(NamedTuple):
    """One file of a bundle: its path (slashes), whether it may be executed, and the SHA-256 of its content."""

    path: str
    executable: bool
    sha256: str


def content_digest(files: Iterable[FileDigest]) -> str:
    """Return the SHA-256 (hexadecimal) over all files, whatever their order."""
    whole = hashlib.sha256()
    for file in sorted(files):
        whole.update(f"{file.sha256} {'x' if file.executable else '-'} {file.path}\0".encode())
    return whole.hexdigest()
