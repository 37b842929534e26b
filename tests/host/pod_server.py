"""PostgreSQL's pod on Kubernetes as processes of this machine, by the distribution's programs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pulumi

from components.database.parts import pod
from components.database.postgres import PostgresSpec
from terrace.targets.places import filler_of
from tests.components.recording import event_loop
from tests.host.machine import wait_for

PORT = 15439  # not that of the platform
PASSWORDS = {"admin": "a-b_C1", "exporter": "e-x_2", "backup": "b-u_3"}
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
SCHEMA = "CREATE TABLE IF NOT EXISTS kept (number int); GRANT SELECT ON kept TO reader;"
# An owner's way to what the owner may not do: at a restore it is run by whoever restores.
PLANTED = """
CREATE FUNCTION planted() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  IF session_user <> 'shop' THEN EXECUTE 'RESET ROLE; ALTER ROLE shop SUPERUSER'; END IF; RETURN true; END $$;
CREATE TABLE trap (number int CHECK (planted())); INSERT INTO trap VALUES (1);
"""


@dataclass
class Server:
    """The server's pod as processes of this machine."""

    root: Path

    def __post_init__(self) -> None:
        self.root.chmod(0o755)
        places = {"DATA": str(self.root / "data"), "CONFIG": str(self.root / "config"), "LISTEN": "127.0.0.1"}
        self._fill = filler_of(places)
        asyncio.set_event_loop(event_loop())
        secret = {name: pulumi.Output.from_input(password) for name, password in PASSWORDS.items()}
        self.workload = pod.workload(PostgresSpec(port=PORT), secret)
        for folder in ("data", "config"):
            (self.root / folder).mkdir()
            shutil.chown(self.root / folder, "postgres", "postgres")
        for file in self.workload.files:
            (self.root / "config" / file.path).write_text(str(self._fill(file.content)))
        (binaries,) = Path("/usr/lib/postgresql").glob("*/bin")
        self.environment = {"PATH": f"{binaries}:{os.environ['PATH']}"}
        self._secrets = {
            "ADMIN_PASSWORD": PASSWORDS["admin"],
            "DATA_SOURCE_PASS": PASSWORDS["exporter"],
            "BACKUP_PASSWORD": PASSWORDS["backup"],
        }

    def command(self, words: tuple[str, ...]) -> list[str]:
        return [*AS_POSTGRES, *(str(self._fill(word)) for word in words)]

    def set_up(self) -> None:
        (step,) = self.workload.setup
        environment = self.environment | self._secrets
        subprocess.run(self.command(step.command), env=environment, cwd=self.root / "data", check=True)

    def start(self) -> subprocess.Popen[bytes]:
        server = self.workload.processes[0]
        return subprocess.Popen(self.command(server.command), env=self.environment, cwd=self.root / "data")

    def psql(self, user: str, password: str, database: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {"PGHOST": "127.0.0.1", "PGPORT": str(PORT), "PGUSER": user, "PGPASSWORD": password}
        return subprocess.run(
            ["psql", "--no-psqlrc", "--no-password", *arguments],
            env={**self.environment, **variables, "PGDATABASE": database},
            capture_output=True,
            text=True,
            check=False,
        )

    def make(self, database: str, **passwords: str) -> None:
        """Do what a database's Job does."""
        file = self.root / "config" / "database.sql"
        file.write_text(pod._statements(database, passwords, SCHEMA))
        made = self.psql("admin", PASSWORDS["admin"], "postgres", "--set=ON_ERROR_STOP=1", f"--file={file}")
        assert made.returncode == 0, made.stderr

    def rows(self, user: str, password: str, database: str) -> list[str]:
        found = self.psql(user, password, database, "--tuples-only", "--command=SELECT number FROM kept ORDER BY 1")
        assert found.returncode == 0, found.stderr
        return found.stdout.split()

    def may(self, user: str, password: str, database: str) -> bool:
        return self.psql(user, password, database, "--command=SELECT 1").returncode == 0

    def superusers(self) -> set[str]:
        return self._names("SELECT rolname FROM pg_roles WHERE rolsuper")

    def roles(self) -> set[str]:
        return self._names("SELECT rolname FROM pg_roles")

    def _names(self, query: str) -> set[str]:
        told = self.psql("admin", PASSWORDS["admin"], "postgres", "--tuples-only", f"--command={query}")
        return set(told.stdout.split())


@contextlib.contextmanager
def running(root: Path) -> Iterator[Server]:
    """Run the server in a folder that everybody may enter."""
    for folder in root.parents[:2]:
        folder.chmod(folder.stat().st_mode | 0o055)
    found = Server(root)
    found.set_up()
    found.set_up()  # as every start of the pod does
    process = found.start()
    try:
        wait_for(lambda: found.may("admin", PASSWORDS["admin"], "postgres"), 60)
        yield found
    finally:
        process.send_signal(signal.SIGINT)  # connections are ended
        assert process.wait(timeout=60) == 0
