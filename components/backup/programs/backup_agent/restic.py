"""One restic repository. The password travels in restic's environment, never in an argument."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import AgentError
from .places import Place

RESTIC = "/usr/bin/restic"
TAG = "terrace"
INCOMPLETE = 3  # restic's exit code for a backup that lacks files which it could not read
MOST_CHARACTERS = 2000


class WrongPassword(AgentError):
    """The password doesn't open the repository."""


@dataclass(frozen=True)
class Repository:
    """A repository, and how to open it.

    Args:
        place: Its folder.
        password: What opens it.
        cache: Where restic keeps what it has read; None for a reader that leaves no trace: no cache, no lock.
    """

    place: Place
    password: str = field(repr=False)
    cache: Path | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a repository in the folder."""
        return "config" in (self.place.names() or ())

    def require(self) -> None:
        """Check that the repository is there.

        Raises:
            AgentError: It isn't, or the machine that has it doesn't tell.
        """
        if not self.exists:
            raise AgentError(
                f"there is no backup repository in {self.place}",
                why="the disk isn't mounted, or somebody moved or deleted it",
                fix="Bring it back, or give `backup` another place.",
                refused=True,
            )

    def initialise(self) -> None:
        """Make the repository.

        Raises:
            AgentError: The machine that is to have it can't be reached, or restic failed.
        """
        self.place.names()  # says what is wrong with a connection, which restic doesn't
        self._run("init")

    def change_password(self, password: str) -> Repository:
        """Let the repository be opened by ``password`` alone, and return it that way."""
        self._unlock()
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:  # mode 0600
            file.write(password)
            file.flush()
            self._run("key", "add", f"--new-password-file={file.name}")
        changed = Repository(self.place, password, self.cache)
        changed.remove_other_keys()
        return changed

    def remove_other_keys(self) -> None:
        """Let the repository be opened by no other password than this one.

        Raises:
            WrongPassword: This one doesn't open it.
        """
        self._unlock()
        for key in json.loads(self._run("key", "list", "--json")):
            if not key["current"]:
                self._run("key", "remove", key["id"])

    def backup(
        self, paths: Sequence[str], leave_out: Iterable[str], host: str, on_percent: Callable[[float], None]
    ) -> dict[str, Any]:
        """Back up ``paths`` as one snapshot and return restic's summary of it.

        Raises:
            AgentError: A file that is still there could not be read, or restic failed.
        """
        self._unlock()
        options = ["--json", f"--tag={TAG}", f"--host={host}", *(f"--exclude={path}" for path in leave_out)]
        summary: dict[str, Any] = {}
        unread: list[str] = []
        said: list[str] = []
        with self._start("backup", *options, "--", *paths, errors=subprocess.STDOUT) as process:
            for line in process.stdout or ():
                message = json.loads(line) if line.startswith("{") else {"message_type": "text"}
                match message["message_type"]:
                    case "status":
                        on_percent(float(message.get("percent_done", 0)))
                    case "summary":
                        summary = message
                    case "error" if os.path.lexists(message.get("item", "")):
                        unread.append(message["item"])
                    case "text":
                        said.append(line)
        if process.returncode not in (0, INCOMPLETE) or not summary:
            raise self._failure("backup", "".join(said))
        if unread:
            raise AgentError(f"{len(unread)} files could not be read", why=", ".join(unread[:5]))
        return summary

    def forget(self, keep: Mapping[str, int]) -> None:
        """Delete the snapshots that need not be kept, and the space that only they take."""
        wanted = [f"--keep-{name}={number}" for name, number in keep.items() if number]
        self._run("forget", f"--tag={TAG}", "--group-by=", "--prune", *wanted)

    def check(self) -> None:
        """Check that the repository is whole."""
        self._run("check")

    def snapshots(self) -> list[dict[str, Any]]:
        """Return restic's record of each snapshot, the oldest first.

        Whoever has the repository locked, one that was killed included, doesn't hide what is in it.
        """
        found = json.loads(self._run("snapshots", "--no-lock", "--json", f"--tag={TAG}") or "null") or []
        return sorted(found, key=lambda snapshot: str(snapshot["time"]))

    def size(self) -> int:
        """Return how much space (bytes) the repository takes."""
        return int(json.loads(self._run("stats", "--mode=raw-data", "--json"))["total_size"])

    def sizes(self, snapshot: str, folders: Iterable[str]) -> dict[str, int]:
        """Return how much space (bytes) the files of each of these folders of a snapshot take."""
        sizes = dict.fromkeys(folders, 0)
        said: list[str] = []
        with self._start("ls", "--json", "--recursive", snapshot, *sizes, errors=subprocess.STDOUT) as process:
            for line in process.stdout or ():
                if not line.startswith("{"):
                    said.append(line)
                    continue
                node = json.loads(line)
                for folder in sizes if node.get("type") == "file" else ():
                    sizes[folder] += node.get("size", 0) if node["path"].startswith(f"{folder}/") else 0
        if process.returncode != 0:
            raise self._failure("ls", "".join(said))
        return sizes

    def read(self, snapshot: str, path: str) -> str:
        """Return a text file of a snapshot."""
        return self._run("dump", snapshot, path)

    def restore(self, snapshot: str, path: str, into: Path) -> None:
        """Bring ``path`` of a snapshot back below ``into``, verified."""
        self._run("restore", snapshot, f"--include={path}", f"--target={into}", "--verify")

    def _unlock(self) -> None:
        self._run("unlock")  # removes only what a process that is gone has left

    def _start(self, *arguments: str, errors: int = subprocess.PIPE) -> subprocess.Popen[str]:
        variables = {**os.environ, "RESTIC_REPOSITORY": self.place.location, "RESTIC_PASSWORD": self.password}
        options = [f"--cache-dir={self.cache}"] if self.cache else ["--no-cache", "--no-lock"]
        return subprocess.Popen(
            [RESTIC, *self.place.options, *options, *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )

    def _run(self, *arguments: str) -> str:
        process = self._start(*arguments)
        output, error = process.communicate()
        if process.returncode != 0:
            raise self._failure(arguments[0], error)
        return output

    def _failure(self, command: str, error: str) -> AgentError:
        if "wrong password or no key found" in error:
            return WrongPassword(
                f"the password doesn't open the backups in {self.place}",
                fix="Give the one that they were made with.",
                refused=True,
            )
        return AgentError(f"restic {command} failed in {self.place}", why=error.strip()[-MOST_CHARACTERS:])
