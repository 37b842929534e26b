"""One backup: dumps first, then the files, so that every row finds the files that it names."""

from __future__ import annotations

import datetime
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import inventory
from .databases import Server
from .errors import AgentError
from .places import Place
from .records import Records
from .restic import Repository, WrongPassword
from .settings import Settings

Say = Callable[..., None]

SHORT = 8  # characters of a snapshot's short id; a summary has the whole one from restic 0.15 on


def initialise(settings: Settings) -> str:
    """Make the repository the first time, and let a changed password open it; return its folder.

    Raises:
        AgentError: The repository that was there is gone.
    """
    records = Records(settings)
    known = records.repository()
    if known is None or known["place"] != str(settings.place):
        name = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}"
        repository = Repository(settings.place / name, settings.password, settings.data / "cache")
        repository.initialise()
        records.forget_attempts()  # they were made elsewhere, and nothing is here yet
    else:
        name = known["name"]
        repository = Repository(settings.place / name, known["password"], settings.data / "cache")
        repository.require()
        if known["password"] != settings.password:
            repository = _change_password(repository, settings.password)
    records.keep_repository(name)
    return str(repository.place)


def _change_password(repository: Repository, password: str) -> Repository:
    changed = Repository(repository.place, password, repository.cache)
    try:
        changed.remove_other_keys()  # an earlier run may have been cut short after the new one was added
    except WrongPassword:
        return repository.change_password(password)
    return changed


def own_repository(settings: Settings) -> Repository:
    """Return the repository that this host's backups go to.

    Raises:
        AgentError: There is none yet.
    """
    known = Records(settings).repository()
    if known is None:
        raise AgentError("the backup repository was never made", fix="Run `terrace up` again.", refused=True)
    place = Place.parse(known["place"], settings.place.access) / known["name"]
    return Repository(place, settings.password, settings.data / "cache")


def back_up(settings: Settings, say: Say) -> dict[str, Any]:
    """Make a backup, delete those that need not be kept, check all, and return the new one.

    Raises:
        AgentError: It failed, which is noted for the metrics.
    """
    records = Records(settings)
    with records.alone():
        records.start()
        try:
            repository = own_repository(settings)
            repository.require()
            return _back_up(settings, repository, records, say)
        except (AgentError, OSError) as error:
            problem = error if isinstance(error, AgentError) else AgentError("the backup failed", why=str(error))
            records.fail(problem)
            raise problem from None
        finally:
            shutil.rmtree(settings.staging, ignore_errors=True)


def _back_up(settings: Settings, repository: Repository, records: Records, say: Say) -> dict[str, Any]:
    started = time.time()
    found = _stage(settings, say)
    paths = [*(folder.path for folder in found.folders), *settings.include]
    absent = [path for path in paths if not Path(path).exists()]
    if absent:
        fix = "Bring them back: terrace restore, or take them out of `backup.include`."
        raise AgentError("something that is to be backed up isn't there", why=", ".join(absent), fix=fix)
    leave_out = [f"{folder.path}/{path}" for folder in found.folders for path in folder.unsaved]
    say("files", percent=0)
    summary = repository.backup(
        [str(settings.staging), str(settings.configuration), *paths],
        leave_out,
        settings.environment,
        lambda done: say("files", percent=100 * done),
    )
    say("retention")
    repository.forget(settings.keep)
    say("check")
    repository.check()
    name = summary["snapshot_id"][:SHORT]
    known = records.attempts()["backups"] | {
        name: {
            "bytes": summary["total_bytes_processed"],
            "added_bytes": summary["data_added"],
            "seconds": round(time.time() - started, 1),
        }
    }
    kept = {snapshot["short_id"] for snapshot in repository.snapshots()}
    records.succeed({one: about for one, about in known.items() if one in kept}, repository.size())
    return {"id": name, "repository": str(repository.place), **known[name]}


def _stage(settings: Settings, say: Say) -> inventory.Inventory:
    """Dump every database into the staging folder, and say there what the backup holds."""
    shutil.rmtree(settings.staging, ignore_errors=True)
    settings.staging.mkdir(mode=0o700)
    server = Server(settings)
    names = server.databases()
    for name in names:
        say(f"database {name}")
        server.dump(name, settings.staging / f"{name}.dump")
    found = inventory.take(settings, names, server.version())
    (settings.staging / "inventory.json").write_text(found.to_json(), encoding="utf-8")
    return found


def listed(settings: Settings) -> list[dict[str, Any]]:
    """Return every backup: ``id``, ``time`` (ISO 8601), and ``bytes`` and ``seconds`` where they are known."""
    repository = own_repository(settings)
    repository.require()
    known = Records(settings).attempts()["backups"]
    return [
        {
            "id": one["short_id"],
            "time": one["time"],
            **{"bytes": None, "seconds": None, **known.get(one["short_id"], {})},
        }
        for one in repository.snapshots()
    ]
