"""What a platform is made from: the commit, and a digest of everything that decides what is deployed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from terrace.engine.git import DIRTY, HEAD, commit_of

CODE = Path(__file__).parents[1]
CODE_FOLDERS = ("terrace", "components", "ansible")
LEFT_OUT = frozenset({"__pycache__", ".ansible"})
# The engine adds it at the first `up`, and it decides nothing.
SALT = b"encryptionsalt:"


@dataclass(frozen=True)
class Source:
    """What an environment is deployed from.

    Attributes:
        commit: Git's hash of the checked-out commit; empty outside of a repository.
        dirty: Whether files differ from that commit.
        digest: SHA-256 over the code, the roles, the locks, and the environment's stack file: the same checkout gives
            the same digest, so a clean commit can be checked out and compared.
    """

    commit: str
    dirty: bool
    digest: str

    def same(self, other: Source | None) -> bool:
        """Return whether the same things are deployed from both, whatever the commits are."""
        return other is not None and self.digest == other.digest

    def document(self) -> dict[str, Any]:
        """Return it as data, for a stack output."""
        return asdict(self)

    def __str__(self) -> str:
        """Return what a person reads."""
        if not self.commit:
            return f"no commit (digest {self.digest[:12]})"
        return f"commit {self.commit[:12]}{' with uncommitted changes' if self.dirty else ''}"


def source_of(root: Path, environment: str, code: Path = CODE) -> Source:
    """Look at what ``environment`` of the project in ``root`` would be deployed from now.

    Args:
        root: The folder of ``Pulumi.yaml``.
        environment: The environment; other environments' files don't count.
        code: The folder of Terrace's own code, which is the same as ``root`` unless Terrace is installed elsewhere.
    """
    commit, _ = commit_of(root)
    whole = hashlib.sha256()
    for name, path in sorted(_files(root, environment, code)):
        content = hashlib.sha256(_content(path)).hexdigest()
        whole.update(f"{content} {name}\0".encode())
    return Source(commit.get(HEAD, ""), commit.get(DIRTY) == "true", whole.hexdigest())


def _files(root: Path, environment: str, code: Path) -> Iterator[tuple[str, Path]]:
    for name in ("Pulumi.yaml", "stacks/__main__.py", f"stacks/Pulumi.{environment}.yaml"):
        if (root / name).is_file():
            yield name, root / name
    for folder in CODE_FOLDERS:
        for path in (code / folder).rglob("*"):
            relative = path.relative_to(code)
            if path.is_file() and LEFT_OUT.isdisjoint(relative.parts):
                yield relative.as_posix(), path


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.name.startswith("Pulumi."):
        content = b"".join(line for line in content.splitlines(keepends=True) if not line.startswith(SALT))
    return content
