"""Brings a backup back. Everything that can be refused is, before anything is touched.

New files and databases are put together beside the old ones and take their places at once, so each is either the old
or the new one whenever this is killed; running it again does it all again. On a file system that can't exchange two
folders, as NFS, a folder may be missing then: the old one lies beside, and running it again brings that back first.
"""

from __future__ import annotations

import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import exchange, inventory, services
from .choice import Request, choose, open_repository
from .databases import Server
from .errors import AgentError
from .inventory import Folder, Inventory
from .job import Say
from .records import Records
from .restic import Repository
from .settings import Settings

OLD = "old"  # beside the new folder, what it takes the place of


@dataclass(frozen=True)
class Plan:
    """A backup that can be brought back, and what of it will be.

    Args:
        repository: The repository that it lies in.
        snapshot: restic's record of it.
        root: The staging folder inside of it.
        saved: What it holds.
        databases: The databases that will be replaced.
        folders: The folder in the backup → the present one that it replaces.
        left_out: What it holds and this platform has no place for.
        kept: Folders that stay as they are: what they hold is only ever added to.
    """

    repository: Repository
    snapshot: dict[str, Any]
    root: str
    saved: Inventory
    databases: tuple[str, ...]
    folders: dict[str, Folder]
    left_out: tuple[str, ...]
    kept: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return what a person decides by."""
        return {
            "repository": str(self.repository.place),
            "id": self.snapshot["short_id"],
            "time": self.snapshot["time"],
            "environment": self.saved.environment,
            "databases": list(self.databases),
            "folders": [folder.path for folder in self.folders.values()],
            "left_out": list(self.left_out),
            "kept": list(self.kept),
        }


def make_plan(settings: Settings, request: Request) -> Plan:
    """Find the backup and see that it can be brought back; touches nothing.

    Raises:
        AgentError: It can't.
    """
    repository = open_repository(settings, request)
    snapshot = choose(repository, request)
    root = next(path for path in snapshot["paths"] if path.endswith("/staging"))
    try:
        saved = Inventory.from_json(repository.read(snapshot["id"], f"{root}/inventory.json"))
    except ValueError as error:
        raise _unreadable(str(error)) from None
    server = Server.as_owner(settings)
    _check_versions(settings, saved, server.version())
    present = server.databases()
    folders = {_key(folder): folder for folder in reversed(inventory.folders(settings))}
    grown = inventory.grown(settings)
    plan = Plan(
        repository,
        snapshot,
        root,
        saved,
        tuple(name for name in saved.databases if name in present),
        {
            folder.path: here
            for folder in saved.folders
            if (here := folders.get(_key(folder))) and here.path not in grown
        },
        (
            *(f"database {name}" for name in saved.databases if name not in present),
            *(folder.path for folder in saved.folders if _key(folder) not in folders),
        ),
        tuple(sorted(grown)),
    )
    _check_mounts(plan)
    _check_space(settings, plan)
    return plan


def _key(folder: Folder) -> tuple[str, str]:
    """Return what a folder is known by on every host: who made it, and its name."""
    return folder.entry, Path(folder.path).name


def _check_versions(settings: Settings, saved: Inventory, postgres: int) -> None:
    problems = inventory.newer(saved.versions, inventory.versions_of(settings))
    if saved.postgres > postgres:
        problems.append(f"PostgreSQL {saved.postgres} (here: {postgres})")
    if problems:
        raise _unreadable("it was written by later versions: " + ", ".join(problems))


def _unreadable(why: str) -> AgentError:
    fix = "Bring the platform to these versions first, or choose an earlier backup."
    return AgentError("this platform can't read that backup", why=why, fix=fix, refused=True)


def _check_mounts(plan: Plan) -> None:
    mounts = [folder.path for folder in plan.folders.values() if os.path.ismount(folder.path)]
    if mounts:
        fix = "Unmount it, restore, and move what is in its folder then onto the disk before you mount that again."
        raise AgentError(f"{mounts[0]} is a mount, whose place nothing can take", fix=fix, refused=True)


def _check_space(settings: Settings, plan: Plan) -> None:
    """Check that what is brought back fits beside what is there, on each disk."""
    places = {plan.root: settings.data}
    places |= {saved: _beside(folder).parent for saved, folder in plan.folders.items()}
    needed: dict[int, int] = {}
    for saved, size in plan.repository.sizes(plan.snapshot["id"], places).items():
        disk, space = _disk(places[saved])
        needed[disk] = needed.get(disk, 0) + size
        if needed[disk] > space:
            why = f"{needed[disk] / 2**30:.1f} GiB are needed beside {places[saved]}, {space / 2**30:.1f} GiB are free"
            raise AgentError("the disk is too full to restore", why=why, fix="Make space.", refused=True)


def _disk(folder: Path) -> tuple[int, int]:
    """Return the number of the disk that the folder is on, or will be, and how much (bytes) is free there."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return there.stat().st_dev, shutil.disk_usage(there).free


def restore(settings: Settings, request: Request, say: Say) -> dict[str, Any]:
    """Bring the backup back. The services stay stopped: the next `up` prepares and starts them.

    Raises:
        AgentError: It can't be brought back, or something failed half-way.
    """
    with Records(settings).alone():
        plan = make_plan(settings, request)
        for folder in plan.folders.values():
            exchange.bring_back(Path(folder.path), _beside(folder) / OLD)
        dumps = settings.data / "restore"
        _empty(dumps)
        say("reading")
        plan.repository.restore(plan.snapshot["id"], plan.root, dumps)
        for saved, folder in plan.folders.items():
            say(f"reading {folder.path}")
            new = _beside(folder)
            _empty(new)
            plan.repository.restore(plan.snapshot["id"], saved, new)
            _give(settings, new, plan.saved)
        try:
            _replace(settings, plan, dumps, say)
        except (AgentError, OSError) as error:
            problem = error if isinstance(error, AgentError) else AgentError("the restore failed", why=str(error))
            fix = f"{problem.fix} Services are stopped: restore again, or start them as they are: terrace up".strip()
            raise AgentError(problem.what, why=problem.why, fix=fix) from None
        shutil.rmtree(dumps)
        return plan.document()


def _replace(settings: Settings, plan: Plan, dumps: Path, say: Say) -> None:
    say("stopping services")
    services.stop(settings)
    server = Server.as_owner(settings)
    for name in plan.databases:
        say(f"database {name}")
        server.restore(name, Path(f"{dumps}{plan.root}/{name}.dump"))
    for saved, folder in plan.folders.items():
        say(f"files {folder.path}")
        exchange.swap(Path(folder.path), Path(f"{_beside(folder)}{saved}"), _beside(folder) / OLD)
        shutil.rmtree(_beside(folder))
    inventory.note_versions(settings, plan.saved.versions)


def _beside(folder: Folder) -> Path:
    path = Path(folder.path)
    return path.with_name(f".{path.name}.restored")


def _empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if not folder.parent.exists():
        folder.parent.mkdir()
        folder.parent.chmod(0o755)
    folder.mkdir(mode=0o700)


def _give(settings: Settings, root: Path, saved: Inventory) -> None:
    """Give what was restored to the users that have the saved ones' names here; their numbers may differ.

    What belongs to nobody here becomes root's: its number may be somebody else's. Each is given once: the number that
    it has then may be another's among the saved ones.
    """
    numbers = {number: _number(settings, name, saved) for number, name in saved.users.items()}
    for path in (root, *root.rglob("*")):
        number = numbers.get(path.lstat().st_uid, 0)
        os.chown(path, number, pwd.getpwuid(number).pw_gid, follow_symlinks=False)


def _number(settings: Settings, name: str, saved: Inventory) -> int:
    here = settings.user(name.removeprefix(f"terrace-{saved.environment}-"))
    try:
        return pwd.getpwnam(here).pw_uid
    except KeyError:
        return 0
