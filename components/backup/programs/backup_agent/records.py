"""What the agent remembers: its repository, the last attempt, and what each backup took."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import AgentError
from .settings import Settings


class Records:
    """Files in the agent's own folder, each written whole or not at all.

    ``attempts`` holds ``started``, ``ended`` and ``succeeded`` (seconds since the epoch; None for not yet), the last
    error, and ``backups``: snapshot → {``bytes``, ``added_bytes``, ``seconds``}.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._attempts = settings.data / "attempts.json"
        self._repository = settings.data / "repository.json"

    def repository(self) -> dict[str, str] | None:
        """Return the ``place``, ``name`` and ``password`` of the repository that was made last."""
        found: dict[str, str] | None = _read(self._repository)
        return found

    def keep_repository(self, name: str) -> None:
        """Note the repository ``name`` in the present place, with the present password."""
        place, password = str(self._settings.place), self._settings.password
        _write(self._repository, {"place": place, "name": name, "password": password})

    def attempts(self) -> dict[str, Any]:
        """Return what is known of attempts."""
        nothing: dict[str, Any] = {"started": None, "ended": None, "succeeded": None, "error": "", "backups": {}}
        return nothing | (_read(self._attempts) or {})

    def forget_attempts(self) -> None:
        """Let a backup be due, as when there was none yet."""
        self._attempts.unlink(missing_ok=True)

    def start(self) -> None:
        """Note that an attempt starts."""
        _write(self._attempts, self.attempts() | {"started": time.time(), "ended": None})

    def fail(self, error: AgentError) -> None:
        """Note that the attempt failed."""
        _write(self._attempts, self.attempts() | {"ended": time.time(), "error": str(error)})

    def succeed(self, backups: dict[str, Any], size: int) -> None:
        """Note that the attempt succeeded; ``backups`` are those that are kept, ``size`` the bytes that all take."""
        ended = time.time()
        known = {"ended": ended, "succeeded": ended, "error": "", "backups": backups, "size": size}
        _write(self._attempts, self.attempts() | known)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other backups and restores away.

        Raises:
            AgentError: One is running.
        """
        file = os.open(self._settings.data / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AgentError(
                "a backup or a restore is running already", fix="Wait until it has ended.", refused=True
            ) from None
        else:
            yield
        finally:
            os.close(file)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def _write(file: Path, data: Any) -> None:
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(data, stream)
    new.replace(file)
