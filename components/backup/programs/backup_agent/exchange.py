"""Puts a folder in the place of another one, at once."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
AT_FDCWD = -100  # the working directory, which a whole path doesn't need
RENAME_EXCHANGE = 2
UNABLE = (errno.EINVAL, errno.ENOSYS)  # what the kernel says of a file system that can't, as NFS


def swap(path: Path, new: Path, old: Path) -> None:
    """Move ``new`` to ``path``. What was there is at ``new`` then, or at ``old`` where two can't be exchanged at once.

    Raises:
        OSError: They are as they were: one of them is a mount, say.
    """
    if not os.path.lexists(path):
        new.rename(path)
        return
    try:
        _exchange(path, new)
    except OSError as error:
        if error.errno not in UNABLE:
            raise
        path.rename(old)
        new.rename(path)


def bring_back(path: Path, old: Path) -> None:
    """Bring back what a swap had moved away that was killed between its two renames."""
    if os.path.lexists(old) and not os.path.lexists(path):
        old.rename(path)


def _exchange(one: Path, other: Path) -> None:
    failed = LIBC.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one))
