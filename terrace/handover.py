"""Passwords are handed over once; each hand-over is noted beside the state, for everybody who runs the platform.

It keeps people from showing a password twice by mistake. It can't keep those who hold the state's passphrase from
reading it: they hold all of the platform's secrets.
"""

from __future__ import annotations

import datetime
import getpass
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from terrace.engine.passphrase import passphrase_file
from terrace.errors import InputError, OperationError

if TYPE_CHECKING:
    from terrace.engine.project import Project

_SCHEME = "file://"


def beside_state(project: Project, env: str, kind: str) -> Path:
    """Return a folder for notes beside the environment's state; beside its passphrase where the state is no folder."""
    if not project.backend_url.startswith(_SCHEME):
        return passphrase_file(project.name, env).with_suffix(f".{kind}")
    path = Path(project.backend_url.removeprefix(_SCHEME).partition("?")[0]).expanduser()
    return (project.root / path).resolve() / ".pulumi" / "terrace" / project.name / f"{env}.{kind}"


class Handovers:
    """The notes of one environment's hand-overs.

    Args:
        folder: Where they stand, one file each.
        env: The environment, for messages.
    """

    def __init__(self, folder: Path, env: str) -> None:
        self.folder = folder
        self._env = env

    @classmethod
    def of(cls, project: Project, env: str) -> Handovers:
        """Return the notes of an environment."""
        return cls(beside_state(project, env, "handed-over"), env)

    def note(self, person: str, password: str) -> None:
        """Note that this password of ``person`` is handed over now; of two at once one succeeds.

        Raises:
            OperationError: It was handed over before.
        """
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A digest of 192 random bits tells nothing about them.
        digest = hashlib.sha256(f"{person}:{password}".encode()).hexdigest()[:16]
        path = self.folder / f"{person}-{digest}.json"
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise self._done(person, path) from None
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            now = datetime.datetime.now(datetime.UTC).isoformat("T", "seconds")
            json.dump({"at": now, "by": getpass.getuser()}, file)

    def _done(self, person: str, path: Path) -> OperationError:
        note = json.loads(path.read_text(encoding="utf-8") or "{}")
        return OperationError(
            f"{person}'s password was handed over already",
            where=self._env,
            why=f"{note.get('by', 'somebody')} did it at {note.get('at', 'the same time')}",
            fix=f"make a new one: terrace credentials {self._env} {person} --new",
        )


def write_once(path: Path, document: dict[str, str], note: Callable[[], None]) -> None:
    """Write ``document`` as JSON into a new file that only its owner can read; ``note`` is called before.

    Raises:
        InputError: There is such a file, or it can't be made.
        OperationError: ``note`` raised it; there is no file then.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise InputError("the file can't be made", where=str(path), why=error.strerror, fix="name a new one") from None
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        try:
            note()
        except OperationError:
            path.unlink()
            raise
        json.dump(document, file, indent=2)
