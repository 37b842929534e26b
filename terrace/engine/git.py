"""Which commit an operation comes from, under the keys that the Pulumi CLI uses in its history."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HEAD, HEAD_NAME, DIRTY = "git.head", "git.headName", "git.dirty"
# What the CLI reads where there is no repository, in a CI job that got an archive, say.
FROM_VARIABLES = {HEAD: "PULUMI_GIT_HEAD", HEAD_NAME: "PULUMI_GIT_HEAD_NAME"}


def commit_of(folder: Path) -> tuple[dict[str, str], str]:
    """Return what Git says of ``folder``, and the commit's title.

    Returns:
        ``git.head`` (the commit's hash), ``git.headName`` (the branch or tag, absent when detached), ``git.dirty``
        (``true`` when a file differs from the commit or isn't in it); without a repository what ``PULUMI_GIT_HEAD``
        says, without that nothing.
    """
    head = _git(folder, "rev-parse", "--verify", "HEAD")
    if head is None:
        return {key: os.environ[name] for key, name in FROM_VARIABLES.items() if os.environ.get(name)}, ""
    found = {HEAD: head}
    if name := _git(folder, "symbolic-ref", "--quiet", "HEAD"):
        found[HEAD_NAME] = name
    # Without a lock on the index: another Git command may run at the same time.
    found[DIRTY] = "false" if _git(folder, "--no-optional-locks", "status", "--porcelain") == "" else "true"
    return found, _git(folder, "log", "-1", "--format=%s") or ""


def _git(folder: Path, *words: str) -> str | None:
    """Return what a Git command prints, or None where it can't tell."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
