"""Pulumi's self-managed ``file://`` backend: where a stack's files are, and how they are read and written."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from terrace.engine.errors import StateError, UnsupportedError
from terrace.engine.files import write_durably

_SCHEME = "file://"
_VERSION = 3
# Version 4 is version 3 with a list of features; only a state that uses none of them can be read here.
_NEWEST = 4


@dataclass(frozen=True)
class Checkpoint:
    """A stack's checkpoint file, parsed but not interpreted.

    Attributes:
        latest: The deployment as JSON; empty when the stack was never updated.
        salt: The passphrase provider's salt, or empty.
    """

    latest: dict[str, Any]
    salt: str


class Backend:
    """One stack's files in a ``file://`` backend.

    Args:
        url: The backend's URL; ``file://~`` and relative paths are resolved.
        project: The project's name.
        stack: The stack's name.
        root: What relative paths are relative to.

    Raises:
        UnsupportedError: The URL isn't ``file://``.
    """

    def __init__(self, url: str, project: str, stack: str, root: Path) -> None:
        if not url.startswith(_SCHEME):
            raise UnsupportedError(
                f"the embedded engine keeps state in file:// backends only, not in {url.partition(':')[0]}",
                fix="use --engine pulumi",
            )
        path = Path(unquote(url.removeprefix(_SCHEME).partition("?")[0])).expanduser()
        self.url = url
        self.qualified_name = f"organization/{project}/{stack}"
        self.project = project
        self.stack = stack
        self._root = root
        self._folder = (root / path).resolve() / ".pulumi"
        self.checkpoint = self._folder / "stacks" / project / f"{stack}.json"
        self.journal = self.checkpoint.with_name(f"{stack}.json.journal")
        self.locks = self._folder / "locks" / "organization" / project / stack
        self._history = self._folder / "history" / project / stack
        self._backups = self._folder / "backups" / project / stack

    def of_stack(self, name: str) -> Backend:
        """Another stack's files in the same backend.

        Args:
            name: ``stack``, ``organization/stack``, or ``organization/project/stack``, as Pulumi has them.

        Raises:
            StateError: It is none of these.
        """
        *owner, stack = name.split("/")
        if not stack or len(owner) > 2 or (owner and owner[0] != "organization"):
            raise StateError(
                f"{name!r} is no stack of this backend", where=self.url, fix="name it organization/<project>/<stack>"
            )
        return Backend(self.url, owner[1] if len(owner) == 2 else self.project, stack, self._root)

    def prepare(self) -> None:
        """Make the layout, or check that it is one that can be used.

        Raises:
            UnsupportedError: The backend has the layout of Pulumi before 3.61, without projects.
        """
        meta = self._folder / "meta.yaml"
        if meta.exists():
            if meta.read_text(encoding="utf-8").split() != ["version:", "1"]:
                raise UnsupportedError(
                    "the backend's layout isn't version 1", where=str(meta), fix="run `pulumi state upgrade`"
                )
            return
        if any(self._folder.glob("stacks/*.json")):
            raise UnsupportedError(
                "the backend has the old layout, without projects",
                where=str(self._folder),
                fix="run `pulumi state upgrade`",
            )
        write_durably(meta, b"version: 1\n")

    def exists(self) -> bool:
        """Whether the stack exists."""
        return self.checkpoint.exists() or self.journal.exists()

    def read(self) -> Checkpoint:
        """Read the checkpoint; an absent one is an empty stack.

        Raises:
            StateError: The file is damaged, too new or too old; it names the last good backup.
            UnsupportedError: It is compressed, or its secrets need another provider.
        """
        self._refuse_compressed()
        try:
            content = self.checkpoint.read_bytes()
        except FileNotFoundError:
            if self._was_updated():
                raise self.damaged("the file is missing") from None
            return Checkpoint({}, "")
        found = self._parse(content)
        if not found.latest and self._was_updated():
            raise self.damaged("it has no deployment")
        return found

    def _was_updated(self) -> bool:
        """Whether an operation on the stack ever ended; removing a stack removes its history."""
        return any(self._history.glob("*.history.json"))

    def render(self, latest: dict[str, Any]) -> bytes:
        """A deployment as the content of a checkpoint file."""
        document = {"version": _VERSION, "checkpoint": {"stack": self.qualified_name, "latest": latest}}
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

    def write(self, content: bytes) -> None:
        """Write the checkpoint durably, keeping the one before as ``.bak``."""
        if self.checkpoint.exists():
            write_durably(self.checkpoint.with_name(f"{self.checkpoint.name}.bak"), self.checkpoint.read_bytes())
        write_durably(self.checkpoint, content)

    def record(self, update: dict[str, Any]) -> None:
        """Add an update to the history, and back the checkpoint up, as the Pulumi CLI does after each operation."""
        stamp = time.time_ns()
        content = self.checkpoint.read_bytes()
        for folder in (self._history, self._backups):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        history = json.dumps(update, separators=(",", ":")).encode()
        write_durably(self._history / f"{self.stack}-{stamp}.history.json", history)
        write_durably(self._history / f"{self.stack}-{stamp}.checkpoint.json", content)
        write_durably(self._backups / f"{self.stack}.{stamp}.json", content)

    def damaged(self, why: str) -> StateError:
        """The error for a checkpoint that makes no sense; it names the last good backup."""
        return StateError("the state is damaged", where=str(self.checkpoint), why=why, fix=self._good_backup())

    def _refuse_compressed(self) -> None:
        for suffix in (".gz", ".zst"):
            packed = self.checkpoint.with_name(self.checkpoint.name + suffix)
            if packed.exists():
                raise UnsupportedError(
                    "the state is compressed",
                    where=str(packed),
                    fix="run `pulumi up` once without PULUMI_DIY_BACKEND_GZIP, or use --engine pulumi",
                )

    def _parse(self, content: bytes) -> Checkpoint:
        document = _checkpoint_document(content)
        if document is None:
            raise self.damaged("not a checkpoint")
        version, features = document["version"], document.get("features") or []
        if version > _NEWEST or features:
            raise StateError(
                "the state was written by something newer than this engine",
                where=str(self.checkpoint),
                why=f"version {version}, features {', '.join(features) or 'none'}",
                fix="use --engine pulumi",
            )
        if version < _VERSION:
            raise StateError(
                f"the state has the old version {version}", where=str(self.checkpoint), fix="run `pulumi up` once"
            )
        latest = document["checkpoint"].get("latest") or {}
        return Checkpoint(latest, self._salt(latest))

    def _salt(self, latest: dict[str, Any]) -> str:
        provider = latest.get("secrets_providers") or {}
        kind = provider.get("type")
        if kind not in (None, "", "passphrase"):
            raise UnsupportedError(
                f"the stack's secrets are kept by {kind}, not by a passphrase",
                where=str(self.checkpoint),
                fix="use --engine pulumi",
            )
        salt: str = (provider.get("state") or {}).get("salt", "")
        return salt

    def _good_backup(self) -> str:
        candidates = [*self._backups.glob("*.json"), self.checkpoint.with_name(f"{self.checkpoint.name}.bak")]
        present = [path for path in candidates if path.exists()]
        for path in sorted(present, key=os.path.getmtime, reverse=True):
            if _checkpoint_document(path.read_bytes()) is not None:
                return f"the last good backup is {path}; compare it with what is really there, then copy it over"
        return "there is no good backup"


def _checkpoint_document(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("version"), int):
        return None
    checkpoint = document.get("checkpoint")
    if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get("latest") or {}, dict):
        return None
    return document
