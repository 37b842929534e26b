"""PostgreSQL's pod on Kubernetes, by the distribution's PostgreSQL: what its setup step and a database's Job do."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pulumi
import pytest

from components.backup.programs.backup_agent import databases
from components.database.parts import pod
from components.database.postgres import PostgresSpec
from terrace.targets.places import filler_of
from tests.host.machine import wait_for

pytestmark = pytest.mark.usefixtures("platform")  # which installs PostgreSQL
PORT = 15439  # not that of the platform
PASSWORDS = {"admin": "a-b_C1", "exporter": "e-x_2"}
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
SCHEMA = "CREATE TABLE IF NOT EXISTS kept (number int);"


@dataclass
class Server:
    """The server's pod as processes of this machine."""

    root: Path

    def __post_init__(self) -> None:
        self.root.chmod(0o755)
        places = {"DATA": str(self.root / "data"), "CONFIG": str(self.root / "config"), "LISTEN": "127.0.0.1"}
        self._fill = filler_of(places)
        secret = {name: pulumi.Output.from_input(password) for name, password in PASSWORDS.items()}
        self.workload = pod.workload(PostgresSpec(port=PORT), secret)
        for folder in ("data", "config"):
            (self.root / folder).mkdir()
            shutil.chown(self.root / folder, "postgres", "postgres")
        for file in self.workload.files:
            (self.root / "config" / file.path).write_text(str(self._fill(file.content)))
        (programs,) = Path("/usr/lib/postgresql").glob("*/bin")
        self.environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
        self._secrets = {"ADMIN_PASSWORD": PASSWORDS["admin"], "DATA_SOURCE_PASS": PASSWORDS["exporter"]}

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

    def may(self, user: str, password: str, database: str) -> bool:
        return self.psql(user, password, database, "--command=SELECT 1").returncode == 0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for folder in (tmp_path_factory.getbasetemp(), *tmp_path_factory.getbasetemp().parents[:1]):
        folder.chmod(0o755)
    found = Server(tmp_path_factory.mktemp("pod"))
    found.set_up()
    found.set_up()  # as every start of the pod does
    process = found.start()
    try:
        wait_for(lambda: found.may("admin", PASSWORDS["admin"], "postgres"), 60)
        yield found
    finally:
        process.send_signal(signal.SIGINT)  # connections are ended
        assert process.wait(timeout=60) == 0


def test_the_exporter_may_look_and_nothing_else(server: Server) -> None:
    assert server.may("exporter", PASSWORDS["exporter"], "postgres")
    assert not server.may("exporter", "wrong", "postgres")
    refused = server.psql("exporter", PASSWORDS["exporter"], "postgres", "--command=CREATE ROLE x")
    assert "permission denied to create role" in refused.stderr


def test_a_job_makes_a_database_again_and_again(server: Server) -> None:
    statements = pod._statements("mlflow", {"mlflow": "m'1", "reader": "r2"}, SCHEMA)
    file = server.root / "config" / "database.sql"
    file.write_text(statements)
    for _ in range(2):
        made = server.psql("admin", PASSWORDS["admin"], "postgres", "--set=ON_ERROR_STOP=1", f"--file={file}")
        assert made.returncode == 0, made.stderr
    assert server.may("mlflow", "m'1", "mlflow")
    assert server.may("reader", "r2", "mlflow")
    assert not server.may("exporter", PASSWORDS["exporter"], "mlflow")
    owner = server.psql(
        "mlflow", "m'1", "mlflow", "--command=SELECT tableowner FROM pg_tables WHERE tablename = 'kept'"
    )
    assert "mlflow" in owner.stdout


# At a restore it is run by whoever restores: an owner's way to what the owner may not do.
PLANTED = """
CREATE FUNCTION planted() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
  IF session_user <> 'shop' THEN EXECUTE 'RESET ROLE; ALTER ROLE shop SUPERUSER'; END IF; RETURN true; END $$;
CREATE TABLE trap (number int CHECK (planted())); INSERT INTO trap VALUES (1);
"""


def test_what_a_dump_holds_cannot_make_its_owner_a_superuser(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = (server, "admin", PASSWORDS["admin"], "postgres")
    made = server.root / "config" / "shop.sql"
    made.write_text(pod._statements("shop", {"shop": "s1"}, SCHEMA))
    assert Server.psql(*admin, "--set=ON_ERROR_STOP=1", f"--file={made}").returncode == 0
    monkeypatch.setenv("PGPASSWORD", PASSWORDS["admin"])
    monkeypatch.setenv("PATH", server.environment["PATH"])
    agent = databases.Server(SimpleNamespace(socket="127.0.0.1", database_port=PORT), "admin")

    def rows() -> list[str]:
        return server.psql("shop", "s1", "shop", "--tuples-only", "--command=TABLE kept").stdout.split()

    server.psql("shop", "s1", "shop", "--command=INSERT INTO kept VALUES (1)")
    agent.dump("shop", tmp_path / "good")
    server.psql("shop", "s1", "shop", "--command=INSERT INTO kept VALUES (2)")
    agent.restore("shop", tmp_path / "good")
    assert rows() == ["1"]

    assert server.psql("shop", "s1", "shop", f"--command={PLANTED}").returncode == 0
    agent.dump("shop", tmp_path / "planted")
    with pytest.raises(databases.AgentError, match="pg_restore failed"):
        agent.restore("shop", tmp_path / "planted")
    assert rows() == ["1"]
    told = Server.psql(*admin, "--tuples-only", "--command=SELECT rolname FROM pg_roles WHERE rolsuper")
    assert set(told.stdout.split()) == {"admin", "postgres"}
    left = Server.psql(*admin, f"--command=SELECT rolname FROM pg_roles WHERE rolname = '{databases.RESTORER}'")
    assert "(0 rows)" in left.stdout
