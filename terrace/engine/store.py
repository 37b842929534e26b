"""A stack's state as operations need it: loaded whole, recovered after a crash, written back."""

from __future__ import annotations

import importlib.metadata
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrace.engine import journal as journals
from terrace.engine.backend import Backend, Checkpoint
from terrace.engine.errors import StateError
from terrace.engine.model import RecoveryNotice
from terrace.engine.secrets import Crypter, new_salt
from terrace.engine.snapshot import Snapshot
from terrace.engine.stackfile import StackFile, ensure_encryption_salt
from terrace.engine.state import Deployment


@dataclass
class Store:
    """One stack's files, opened.

    Attributes:
        backend: Where the state is.
        stack_file: The stack's configuration.
        crypter: Encrypts from now on; its salt is the stack file's.
        found: The checkpoint that was read.
        salt_added: Whether `secure` added the salt to the stack file.
    """

    backend: Backend
    stack_file: StackFile
    crypter: Crypter
    found: Checkpoint
    salt_added: bool = False
    _reader: Crypter | None = field(default=None, repr=False)
    _unlocking: threading.Thread | None = field(default=None, repr=False)

    @classmethod
    def open(cls, backend: Backend, path: Path, project: str, passphrase: Callable[[], str]) -> Store:
        """Read the files. Nothing is decrypted yet.

        Raises:
            StateError: The state can't be read.
            InputError: The stack file can't be read.
        """
        stack_file = StackFile.load(path, project)
        found = backend.read()
        remembered = _once(passphrase)
        state = str(backend.checkpoint)
        crypter = Crypter(stack_file.salt or found.salt, remembered, str(path), state)
        same = found.salt in ("", crypter.salt)
        reader = crypter if same else Crypter(found.salt, remembered, state, state)
        return cls(backend, stack_file, crypter, found, _reader=reader)

    @classmethod
    def read_only(cls, backend: Backend, passphrase: Callable[[], str]) -> Store:
        """Another stack's state, to look something up in it.

        Raises:
            StateError: The state can't be read.
        """
        found = backend.read()
        state = str(backend.checkpoint)
        crypter = Crypter(found.salt, passphrase, state, state)
        return cls(backend, StackFile(backend.checkpoint, found.salt, {}), crypter, found, _reader=crypter)

    def unlock(self) -> None:
        """Begin to derive the keys in the background: it takes a while, and so does importing the SDK."""
        waiting = {crypter for crypter in (self.crypter, self._reader) if crypter is not None and crypter.salt}
        for crypter in waiting:
            crypter.ask()
        if waiting:
            self._unlocking = threading.Thread(target=_try_unlock, args=(waiting,), daemon=True)
            self._unlocking.start()

    def unlocked(self) -> None:
        """Wait for the keys.

        Raises:
            PassphraseError: The passphrase is wrong.
        """
        if self._unlocking is not None:
            self._unlocking.join()
        for crypter in (self.crypter, self._reader):
            if crypter is not None and crypter.salt:
                crypter.unlock()

    def secure(self) -> None:
        """Make sure that there is an encryption salt, in the stack file too."""
        if not self.crypter.salt:
            self.crypter.salt = new_salt(self.crypter.ask())
        if not self.stack_file.salt:
            ensure_encryption_salt(self.stack_file.path, self.crypter.salt)
            self.salt_added = True

    def load(self) -> tuple[Deployment, list[tuple[str, str]]]:
        """The deployment, and the (operation, URN) pairs that a dead operation left in flight.

        Raises:
            StateError: State or journal is damaged.
        """
        assert self._reader is not None  # noqa: S101 - open() sets it
        try:
            deployment = Deployment.from_json(self.found.latest, self._reader)
            problem = deployment.problem()
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # JSON, but of another shape
            raise self.backend.damaged(f"{type(error).__name__}: {error}") from error
        if problem:
            raise self.backend.damaged(problem)
        left = self._left()
        if left is None:
            return deployment, []
        try:
            in_flight = left.unfinished()
            if left.is_folded:
                return deployment, in_flight
            snapshot = Snapshot(deployment, self.crypter.with_salt(left.salt), None)
            snapshot.apply(left.entries)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise StateError("the journal is damaged", where=str(self.backend.journal), why=why) from error
        return snapshot.deployment(), in_flight

    def recover(self) -> RecoveryNotice | None:
        """Fold a journal that a dead operation left into the checkpoint. Only with the lock held."""
        left = self._left()
        if left is None:
            return None
        deployment, in_flight = self.load()
        if not left.is_folded:
            self.write(deployment, left)
        left.remove()
        what = ", ".join(f"{kind} {urn}" for kind, urn in in_flight) or "nothing"
        return RecoveryNotice(
            f"an earlier operation was killed; in flight was: {what}. Its steps until then are kept", tuple(in_flight)
        )

    def _left(self) -> journals.Left | None:
        return journals.read(self.backend.journal, self.backend.checkpoint)

    def write(self, deployment: Deployment, journal: journals.Journal | journals.Left) -> None:
        """Write the deployment as the checkpoint, which replaces the journal.

        Raises:
            StateError: The deployment couldn't be read again (a defect of this engine); nothing is written.
        """
        if problem := deployment.problem():
            raise StateError("the new state would be damaged", where=str(self.backend.checkpoint), why=problem)
        latest = deployment.to_json(self.crypter, engine_version())
        content = self.backend.render(latest)
        journal.folding(content)
        self.backend.write(content)
        self.found = Checkpoint(latest, self.crypter.salt)
        self._reader = self.crypter

    def record(self, update: dict[str, Any]) -> None:
        """Add an update to the history."""
        self.backend.record({**update, "config": self.stack_file.recorded()})


def engine_version() -> str:
    """The version that the manifest names: that of the Pulumi SDK, whose protocol this engine speaks."""
    return f"v{importlib.metadata.version('pulumi')}"


def _once(ask: Callable[[], str]) -> Callable[[], str]:
    answers: list[str] = []

    def remembered() -> str:
        if not answers:
            answers.append(ask())
        return answers[0]

    return remembered


def _try_unlock(crypters: Iterable[Crypter]) -> None:
    for crypter in crypters:
        crypter.try_unlock()
