"""Chooses what to bring back: which repository, and which backup of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import AgentError
from .job import own_repository
from .places import Place
from .restic import Repository, WrongPassword
from .settings import Settings


@dataclass(frozen=True)
class Request:
    """What to bring back.

    Args:
        place: A folder with repositories, or a repository, as `Place.parse` reads it; None for this host's own.
        snapshot: The beginning of a backup's id; None for the last one.
        password: What opens it; None for this host's own.
        since: The time of the databases' backup that it is to fit: the first one after that, or the last one.
    """

    place: str | None = None
    snapshot: str | None = None
    password: str | None = field(default=None, repr=False)
    since: str | None = None


def open_repository(settings: Settings, request: Request) -> Repository:
    """Return the first repository that the password opens: the newest first, of a named place this host's own last.

    Raises:
        AgentError: There is none.
    """
    password = request.password or settings.password
    if request.place is None:
        candidates = [Repository(own_repository(settings).place, password)]
    else:
        root = Place.parse(request.place, settings.place.access)
        if root.names() is None:
            raise AgentError(f"there is no folder {root}", fix="Mount it, or name another one.", refused=True)
        own = own_repository(settings)
        places = _repositories(settings, root)
        # A machine made anew has backed itself up already, and what it lacks is in an older repository.
        first = request.since is not None and _was_in_use(own, request.since)
        places.sort(key=lambda place: (place.resolved == own.place.resolved) is not first)
        candidates = [Repository(place, password) for place in places]
    found = [repository for repository in candidates if repository.exists]
    if not found:
        candidates[0].require()
    for repository in found:
        try:
            repository.snapshots()
        except WrongPassword:
            continue
        return repository
    raise AgentError(
        f"the password opens none of the backups in {request.place or found[0].place}",
        why=", ".join(repository.place.name for repository in found),
        fix="Give the one that they were made with; it was in the old platform's `terrace output … credentials`.",
        refused=True,
    )


def _was_in_use(repository: Repository, since: str) -> bool:
    """Tell whether a repository of this host was there at a time, so that the host wasn't lost after it."""
    made = repository.snapshots() if repository.exists else []
    return bool(made) and _moment(made[0]) <= datetime.fromisoformat(since)


def _moment(snapshot: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(snapshot["time"])


def _repositories(settings: Settings, root: Place) -> list[Place]:
    """Return what may be a repository in a place that was named; the one of the databases' host stands for all."""
    if settings.host:
        own = root / settings.place.name
        return [own, *own.newest_first(), *root.extended(f".{settings.host}").newest_first()]
    return [root, *root.newest_first(), *(root / settings.environment).newest_first()]


def choose(repository: Repository, request: Request) -> dict[str, Any]:
    """Return restic's record of the backup that is asked for.

    Raises:
        AgentError: There is none, or more than one is called so.
    """
    snapshots, wanted = repository.snapshots(), request.snapshot
    matching = [one for one in snapshots if one["id"].startswith(wanted or "")]
    if not snapshots or (wanted and len(matching) != 1):
        known = ", ".join(f"{one['short_id']} of {one['time'][:16]}" for one in snapshots)
        what = f"there is no backup {wanted}" if wanted else "there is no backup"
        raise AgentError(f"{what} in {repository.place}", fix=f"One of: {known}" if known else "", refused=True)
    since = datetime.fromisoformat(request.since) if request.since else None
    fitting = [one for one in matching if since and _moment(one) >= since]
    return fitting[0] if fitting else matching[-1]
