"""Ansible callback: keeps the modules that Ansible has packed for its hosts, for the next run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
from pathlib import Path

from ansible.plugins.callback import CallbackBase
from ansible.release import __version__

from ansible import constants

DOCUMENTATION = r"""
name: kept_modules
type: aggregate
short_description: Keep packed modules for the next run
description:
  - Ansible finds out anew in every run what each of its modules imports, which takes longer than most of them work.
  - With this, its folder of packed modules stands in the virtual environment that Ansible itself stands in, so that
    nobody can change the ones who couldn't change the other. Where there is none, where the folder is another user's,
    or where modules come from elsewhere as well, Ansible packs them as ever.
author: [Terrace]
"""

LIBRARY = Path(__file__).parents[1] / "library"
ANSIBLES_FOLDER = "ansiballz_cache"  # in the folder of one run; Ansible locks what it packs there


class CallbackModule(CallbackBase):
    """Puts a link to the kept modules where Ansible would pack them."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kept_modules"

    def __init__(self) -> None:
        """Make the folder, of this Ansible and these modules of our own, and the link to it."""
        super().__init__()
        if sys.prefix == sys.base_prefix or [str(LIBRARY)] != constants.DEFAULT_MODULE_PATH:
            return
        own = hashlib.sha256(b"".join(file.read_bytes() for file in sorted(LIBRARY.glob("*.py")))).hexdigest()
        kept = Path(sys.prefix, "cache", f"ansible-{__version__}-{own[:16]}")
        with contextlib.suppress(OSError):
            kept.mkdir(mode=0o700, parents=True, exist_ok=True)
            if kept.stat().st_uid == os.geteuid():
                _remove_broken(kept)
                Path(constants.DEFAULT_LOCAL_TMP, ANSIBLES_FOLDER).symlink_to(kept)


def _remove_broken(kept: Path) -> None:
    """Remove what a power cut has left of a file: Ansible would fail at it in every run."""
    for file in kept.iterdir():
        if file.name.endswith((".lock", "-part")):  # another run may be writing it
            continue
        try:
            pickle.loads(file.read_bytes())  # noqa: S301  # Ansible does the same with it
        except Exception:  # whatever is wrong with it
            file.unlink(missing_ok=True)
