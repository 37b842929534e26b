"""Whether the installed libraries are those of the lock, so that one lock hash means the same everywhere."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from flights.errors import SettingsError
from flights.settings import LOCK


def differences(lock: Path = LOCK, installed: Iterable[Distribution] | None = None) -> list[str]:
    """Return a sentence for each installed library that the lock has in another version, or not at all."""
    locked: dict[str, set[str]] = {}
    for package in tomllib.loads(lock.read_text(encoding="utf-8"))["package"]:
        locked.setdefault(package["name"], set()).add(package.get("version", ""))
    found = []
    for library in distributions() if installed is None else installed:
        name = re.sub(r"[-_.]+", "-", library.name).lower()
        if name not in locked:
            found.append(f"{name} {library.version} is not in the lock")
        elif library.version not in locked[name]:
            found.append(f"{name} is {library.version}, locked is {', '.join(sorted(locked[name]))}")
    return sorted(found)


def refuse_other_than_locked() -> None:
    """Let only an environment pass that is made from the lock.

    Raises:
        SettingsError: Naming each library that differs.
    """
    found = differences()
    if found:
        raise SettingsError(
            "the environment is not that of the lock",
            where=str(LOCK),
            why="; ".join(found),
            fix="make it from the lock: uv sync --frozen --exact",
        )
