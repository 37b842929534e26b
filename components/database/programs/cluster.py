"""Makes and starts the platform's PostgreSQL cluster: ``cluster.py make`` once, then ``cluster.py run``.

Run as the server's own user. ``CLUSTER_DATA`` is the folder for the cluster and its socket, ``CLUSTER_CONFIG`` the
one with ``postgresql.conf``, ``pg_hba.conf`` and ``pg_ident.conf``. The server's version is the newest that is
installed, or the one that made the cluster.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

INSTALLED = Path("/usr/lib/postgresql")
EXPORTER = "CREATE ROLE exporter LOGIN;\n\nGRANT pg_monitor TO exporter;\n\n"


def programs(cluster: Path) -> Path:
    """Return the folder of PostgreSQL's programs that fit the cluster.

    Raises:
        SystemExit: PostgreSQL is not installed in the version that the cluster needs.
    """
    version_file = cluster / "PG_VERSION"
    if version_file.is_file():
        version = version_file.read_text(encoding="ascii").strip()
    else:
        versions = [folder.name for folder in INSTALLED.glob("*") if re.fullmatch(r"\d+", folder.name)]
        version = max(versions, key=int, default="")
    folder = INSTALLED / version / "bin"
    if not version or not (folder / "postgres").is_file():
        sys.exit(f"PostgreSQL {version} is not installed in {INSTALLED}")
    return folder


def make(cluster: Path) -> None:
    """Make the cluster where there is none, with a role for the exporter that may only look."""
    (cluster.parent / "socket").mkdir(mode=0o700, exist_ok=True)
    if (cluster / "PG_VERSION").is_file():
        return
    new = cluster.with_name("cluster.new")
    subprocess.run(["rm", "-rf", new], check=True)
    folder = programs(cluster)
    options = ["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums", "--auth=reject"]
    subprocess.run([folder / "initdb", f"--pgdata={new}", *options], check=True)
    single: list[str | Path] = [folder / "postgres", "--single", "-j", "-D", new, "postgres"]
    subprocess.run(single, input=EXPORTER, text=True, check=True)
    new.rename(cluster)


def main() -> None:
    """Do what the argument says."""
    cluster = Path(os.environ["CLUSTER_DATA"]) / "cluster"
    config = os.environ["CLUSTER_CONFIG"]
    if sys.argv[1] == "make":
        make(cluster)
    else:
        program = str(programs(cluster) / "postgres")
        command = [program, "-D", str(cluster), "-c", f"config_file={config}/postgresql.conf"]
        os.execv(program, command)  # noqa: S606  # becomes the server, without a shell between


if __name__ == "__main__":
    main()
