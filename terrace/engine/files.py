"""Durable files."""

from __future__ import annotations

import os
from pathlib import Path


def write_durably(path: Path, content: bytes, *, scratch: Path | None = None) -> None:
    """Replace ``path`` by ``content``: afterwards it is either the old or the new one, whatever happens meanwhile.

    Args:
        path: The file.
        content: All of it.
        scratch: The folder of the temporary file, on the same file system; by default that of ``path``.
    """
    scratch = scratch or path.parent
    for folder in (path.parent, scratch):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = scratch / f".{path.name}.{os.getpid()}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove ``path`` if it is there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and removals in ``folder`` survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
