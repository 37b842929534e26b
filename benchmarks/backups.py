"""How long a backup and a restore take when the artifact store is large.

Brings up a small platform of its own beside all others (``python -m benchmarks.backups --gigabytes N``), puts a file
into its artifact store, backs up, removes the file, restores, and compares. Needs root, and three times the space.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, end_in_order, say, show, watched
from terrace.backup import Backups, Request
from tests.host.conftest import Platform, make_project

ENVIRONMENT = "large-store"
PORT_SHIFT = 20000
GIGABYTES = 5.0
CHUNK = 64 * 2**20
# What has to do with artifacts; other slots would take long to install, and show nothing more.
SLOTS = ("gateway", "database", "artifact_store", "tracking", "backup")
TARGETS = tuple(
    word for target in (*SLOTS, "**::authority", "**::person-*", "**::base") for word in ("--target", target)
)


def measure(_env: str = "", gigabytes: float = GIGABYTES) -> Iterator[Figure]:
    """Back up and restore ``gigabytes`` that can't be compressed."""
    with _platform() as project:
        file = Path(f"/var/lib/terrace/{ENVIRONMENT}/artifacts/mlflow/large")
        say(f"writing {gigabytes:g} GB")
        digest = _write(file, gigabytes)
        seconds = _terrace(project, "backup", ENVIRONMENT)
        yield Figure(f"backup of a store of {gigabytes:g} GB", seconds, "s")
        yield Figure(f"backup of a store of {gigabytes:g} GB, each second", gigabytes * 1000 / seconds, "MB")
        yield Figure("a second backup, of nothing new", _terrace(project, "backup", ENVIRONMENT), "s")
        file.unlink()
        seconds = _restore(project)
        yield Figure(f"restore of a store of {gigabytes:g} GB", seconds, "s")
        yield Figure(f"restore of a store of {gigabytes:g} GB, each second", gigabytes * 1000 / seconds, "MB")
        if _digest(file) != digest:
            raise RuntimeError(f"{file} came back with another content")


def _restore(project: Platform) -> float:
    """Do as `terrace restore` does, which would bring up every slot; return how long it took (seconds)."""
    backups, request = Backups.of(ENVIRONMENT, project.outputs()), Request()
    begun = time.perf_counter()
    backups.restore(request, backups.plan(request), _said())
    _terrace(project, "up", ENVIRONMENT, "--yes", *TARGETS)
    return time.perf_counter() - begun


def _terrace(project: Platform, command: str, *words: str) -> float:
    return watched(command, *words, "--project", str(project.root), variables=project.variables)


@contextmanager
def _platform() -> Iterator[Platform]:
    """Bring it up, and remove it with its data and its backups, however this ends."""
    with tempfile.TemporaryDirectory() as folder:
        project = make_project(Path(folder), ENVIRONMENT, PORT_SHIFT)
        try:
            _terrace(project, "up", ENVIRONMENT, "--yes", *TARGETS)
            yield project
        finally:
            _terrace(project, "destroy", ENVIRONMENT, "--yes", "--delete-data")
            shutil.rmtree(f"/var/backups/terrace/{ENVIRONMENT}", ignore_errors=True)


def _said() -> Callable[[str, float | None], None]:
    """Return what tells the steps of a restore, each once."""
    told: list[str] = []

    def tell(step: str, _percent: float | None) -> None:
        if told[-1:] != [step]:
            told.append(step)
            say(step)

    return tell


def _write(file: Path, gigabytes: float) -> str:
    """Write random bytes as the owner of their folder; returns their SHA-256."""
    owner, digest = file.parent.stat(), hashlib.sha256()
    with file.open("wb") as out:
        os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
        for _ in range(round(gigabytes * 1e9 / CHUNK)):
            chunk = os.urandom(CHUNK)
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def main() -> None:
    """Show the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.backups", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=GIGABYTES, help="how much is in the store (5)")
    end_in_order()
    show(measure(gigabytes=parser.parse_args().gigabytes))


if __name__ == "__main__":
    main()
