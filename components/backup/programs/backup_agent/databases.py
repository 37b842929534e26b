"""The PostgreSQL server: dumps of its databases, and databases out of dumps."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import AgentError
from .settings import Settings

READER = "backup"  # the database role that may read everything
RESTORER = "terrace_restorer"  # the database role that restores one dump, and is gone afterwards
NEW, OLD = "terrace_restored", "terrace_replaced"  # names that a database has while another takes its place
MOST_CHARACTERS = 2000

LIST = "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate ORDER BY 1"
VERSION = "SELECT current_setting('server_version_num')::int / 10000"
OWNER = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = '{name}'"
LEAVE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"


class Server:
    """The server, as somebody that may enter it by its socket; one that is on another host has no databases.

    Args:
        settings: Where it is.
        role: The database role.
        prefix: What a command starts with to become the system user that the role belongs to.
        password: The role's password; with it, it enters by loopback.
    """

    def __init__(
        self, settings: Settings, role: str = READER, prefix: Sequence[str] = (), password: str | None = None
    ) -> None:
        host = "127.0.0.1" if password else settings.socket
        self._where = [f"--host={host}", f"--port={settings.database_port}", f"--username={role}"]
        self._prefix, self._password, self._settings = prefix, password, settings
        self._is_here = bool(settings.socket)

    @classmethod
    def as_owner(cls, settings: Settings) -> Server:
        """Return the server as its superuser; for root alone."""
        user = settings.user(settings.database_service)
        return cls(settings, user, ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"))

    def databases(self) -> list[str]:
        """Return the names of the databases."""
        if not self._is_here:
            return []
        return [name for name in self.query(LIST).split() if name not in ("postgres", NEW, OLD)]

    def version(self) -> int:
        """Return the server's major version; 0 where it isn't here."""
        return int(self.query(VERSION)) if self._is_here else 0

    def query(self, sql: str, database: str = "postgres") -> str:
        """Run a statement and return what it gives."""
        options = ["--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", "--quiet"]
        return self._run("psql", *options, f"--dbname={database}", f"--command={sql}")

    def dump(self, database: str, file: Path) -> None:
        """Write a consistent dump; uncompressed, so that what didn't change since the last one takes no space."""
        with file.open("wb") as stream:
            self._run("pg_dump", "--format=custom", "--compress=0", f"--dbname={database}", output=stream.fileno())

    def restore(self, database: str, file: Path) -> None:
        """Make ``database`` what the dump holds.

        The dump goes into a new database, which takes the place of the old one when it is complete.
        """
        owner = self.query(OWNER.format(name=database)).strip()
        for left in (NEW, OLD):
            self.query(f'DROP DATABASE IF EXISTS "{left}" WITH (FORCE)')
        self.query(f'CREATE DATABASE "{NEW}" OWNER "{owner}"')
        self._fill(owner, file)
        self.query(f'REVOKE ALL ON DATABASE "{NEW}" FROM PUBLIC')
        self.query(f'GRANT CONNECT ON DATABASE "{NEW}" TO {READER}')
        # psql sends a command's statements as one transaction: both names change, or neither.
        renames = f'ALTER DATABASE "{database}" RENAME TO {OLD}; ALTER DATABASE {NEW} RENAME TO "{database}"'
        self.query(f"{LEAVE.format(name=database)}; {renames}")
        self.query(f"DROP DATABASE {OLD} WITH (FORCE)")

    def _fill(self, owner: str, file: Path) -> None:
        """Restore a dump into the new database, as somebody who may do no more than its owner.

        In a session of the superuser, a function in the dump could become the superuser again, whatever role is set.
        """
        password = secrets.token_hex(32)
        self.query(f"DROP ROLE IF EXISTS {RESTORER}")
        made = f"CREATE ROLE {RESTORER} LOGIN PASSWORD '{password}' IN ROLE \"{owner}\""
        self._run("psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname=postgres", source=made.encode())
        options = ["--no-owner", "--no-privileges", f"--role={owner}", "--single-transaction", "--exit-on-error"]
        try:
            restorer = Server(self._settings, RESTORER, password=password)
            with file.open("rb") as stream:
                restorer._run("pg_restore", *options, f"--dbname={NEW}", source=stream.fileno())
        finally:
            self.query(f"DROP ROLE {RESTORER}")

    def _run(
        self, program: str, *arguments: str, output: int = subprocess.PIPE, source: int | bytes = subprocess.DEVNULL
    ) -> str:
        said: dict[str, Any] = {"input": source} if isinstance(source, bytes) else {"stdin": source}
        done = subprocess.run(
            [*self._prefix, program, "--no-password", *self._where, *arguments],
            env={**os.environ, "PGCONNECT_TIMEOUT": "10", **({"PGPASSWORD": self._password} if self._password else {})},
            **said,
            stdout=output,
            stderr=subprocess.PIPE,
            cwd="/",
            check=False,
        )
        if done.returncode != 0:
            why = done.stderr.decode(errors="replace").strip()[-MOST_CHARACTERS:]
            raise AgentError(f"{program} failed", why=why, fix="See that the database runs: terrace status")
        return (done.stdout or b"").decode()
