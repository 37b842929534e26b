"""How long a backup and a restore take when the artifact store is large.

``python -m benchmarks.backups ENV`` adds a file to the store of ENV, backs up, removes it, restores, and compares. It
replaces the data of ENV by what it has just backed up: not for an environment that somebody works on. Needs root.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, show, terrace

CHUNK = 64 * 2**20


def measure(env: str, gigabytes: float) -> Iterator[Figure]:
    """Back up and restore ``gigabytes`` that can't be compressed."""
    file = Path(f"/var/lib/terrace/{env}/artifacts/mlflow/benchmark-of-backups")
    digest = _write(file, gigabytes)
    try:
        begun = time.perf_counter()
        terrace("backup", env)
        yield Figure(f"backup, {gigabytes:g} GB of them new", time.perf_counter() - begun, "s")
        file.unlink()
        begun = time.perf_counter()
        terrace("restore", env, "--yes")
        yield Figure("restore of it", time.perf_counter() - begun, "s")
        if _digest(file) != digest:
            raise RuntimeError(f"{file} came back with another content")
    finally:
        file.unlink(missing_ok=True)


def _write(file: Path, gigabytes: float) -> str:
    """Write random bytes as the owner of their folder; returns their SHA-256."""
    owner = file.parent.stat()
    with file.open("wb") as out:
        os.fchown(out.fileno(), owner.st_uid, owner.st_gid)
        for _ in range(round(gigabytes * 1e9 / CHUNK)):
            out.write(os.urandom(CHUNK))
    return _digest(file)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def main() -> None:
    """Show the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.backups", description=__doc__)
    parser.add_argument("env", help="an environment that is up, and that nobody works on")
    parser.add_argument("--gigabytes", type=float, default=5.0, help="how much to add (5)")
    options = parser.parse_args()
    show(measure(options.env, options.gigabytes))


if __name__ == "__main__":
    main()
