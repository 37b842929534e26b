"""What there is to back up: the host's manifest says which folders hold data, and notes of which versions it is."""

from __future__ import annotations

import json
import pwd
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .settings import Settings

FORMAT = 1  # of the inventory that each backup carries


@dataclass(frozen=True)
class Folder:
    """A folder with data.

    Args:
        entry: The manifest's entry that made it, which is the same on every host.
        path: Where it is.
        unsaved: Paths and patterns of what is left out.
    """

    entry: str
    path: str
    unsaved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """What a backup holds; it stands in the backup itself, as ``inventory.json``.

    Args:
        environment: The environment that it is of.
        databases: The databases that were dumped.
        postgres: The server's major version.
        folders: The folders.
        users: Number → name of the environment's system users.
        versions: Service → the version of the software that its data was written by.
    """

    environment: str
    databases: tuple[str, ...]
    postgres: int
    folders: tuple[Folder, ...]
    users: Mapping[int, str]
    versions: Mapping[str, str]

    def to_json(self) -> str:
        """Return the inventory as text."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Inventory:
        """Read an inventory.

        Raises:
            ValueError: It has another format than this program knows.
        """
        data: dict[str, Any] = json.loads(text)
        if data.pop("format") != FORMAT:
            raise ValueError(f"its inventory is not of format {FORMAT}")
        folders = tuple(Folder(one["entry"], one["path"], tuple(one["unsaved"])) for one in data.pop("folders"))
        users = {int(number): name for number, name in data.pop("users").items()}
        return cls(folders=folders, users=users, databases=tuple(data.pop("databases")), **data)


def take(settings: Settings, databases: Iterable[str], postgres: int) -> Inventory:
    """Look at the host."""
    return Inventory(
        settings.environment,
        tuple(databases),
        postgres,
        tuple(_present(folders(settings))),
        {user.pw_uid: user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(settings.user(""))},
        versions_of(settings),
    )


def entries(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return the manifest's entries by name."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(settings.manifests.glob("*.json"))}


def folders(settings: Settings) -> list[Folder]:
    """Return the folders with data that can't be made anew; of each entry the one that is made now comes first."""
    found = []
    for name, entry in entries(settings).items():
        unsaved = tuple(entry.get("unsaved", ()))
        found += [Folder(name, path, unsaved) for path in entry["data"] if "." not in unsaved]
    return found


def grown(settings: Settings) -> set[str]:
    """Return the folders whose data is only ever added to, and that hold some: a restore leaves them as they are."""
    growing = [path for entry in entries(settings).values() if entry.get("grows") for path in entry["data"]]
    return {path for path in growing if Path(path).is_dir() and any(Path(path).iterdir())}


def _present(known: list[Folder]) -> list[Folder]:
    """Leave out what an entry had at an earlier place; where nothing of an entry is there, its first is what lacks."""
    first = {folder.entry: folder for folder in reversed(known)}
    there = [folder for folder in known if Path(folder.path).is_dir()]
    entries_there = {folder.entry for folder in there}
    return [*there, *(folder for entry, folder in first.items() if entry not in entries_there)]


def versions_of(settings: Settings) -> dict[str, str]:
    """Return the version that the data of each service is of, as far as its host notes one."""
    files = sorted(settings.versions.glob("[a-z]*"))
    return {file.name: file.read_text(encoding="utf-8").strip() for file in files}


def note_versions(settings: Settings, saved: Mapping[str, str]) -> None:
    """Note that the data of the services that are here is of the versions that a backup says."""
    for service in versions_of(settings).keys() & saved.keys():
        new = settings.versions / f".{service}.new"
        new.write_text(saved[service], encoding="utf-8")
        new.chmod(0o644)
        new.replace(settings.versions / service)


def newer(saved: Mapping[str, str], present: Mapping[str, str]) -> list[str]:
    """Return a line for each service whose data was written by a later version than the present one."""
    return [
        f"{service} {version} (here: {present[service]})"
        for service, version in saved.items()
        if service in present and _numbers(version) > _numbers(present[service])
    ]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version))
