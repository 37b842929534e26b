"""PostgreSQL's pod on Kubernetes, by the distribution's programs: its setup step, a database's Job, and backups."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pytest

from components.backup import programs
from components.database.parts import pod
from components.database.postgres import PostgresSpec
from terrace.targets.places import filler_of

pytestmark = pytest.mark.usefixtures("platform")  # which installs PostgreSQL and restic
PORT = 25432
PASSWORDS = {"admin": "a-b_C1", "exporter": "e-x_2", "backup": "b-u_3"}
AS_POSTGRES = ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups")
SCHEMA = "CREATE TABLE IF NOT EXISTS kept (number int); GRANT SELECT ON kept TO reader;"
PROGRAMS = Path(programs.__file__).parent


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for folder in (tmp_path_factory.getbasetemp(), *tmp_path_factory.getbasetemp().parents[:1]):
        folder.chmod(0o755)
    found = Server(tmp_path_factory.mktemp("pod"))
    found.set_up()
    found.set_up()  # as every start of the pod does
    process = found.start()
    deadline = time.monotonic() + 30
    while not found.may("admin", PASSWORDS["admin"], "postgres"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield found
    process.terminate()
    assert process.wait(timeout=30) == 0


def test_the_exporter_may_look_and_nothing_else(server: Server) -> None:
    assert server.may("exporter", PASSWORDS["exporter"], "postgres")
    assert not server.may("exporter", "wrong", "postgres")
    refused = server.psql("exporter", PASSWORDS["exporter"], "postgres", "--command=CREATE ROLE x")
    assert "permission denied to create role" in refused.stderr


def test_a_job_makes_a_database_again_and_again(server: Server) -> None:
    for _ in range(2):
        server.make("mlflow", mlflow="m'1", reader="r2")
    assert server.may("mlflow", "m'1", "mlflow")
    assert server.may("reader", "r2", "mlflow")
    assert not server.may("exporter", PASSWORDS["exporter"], "mlflow")
    owner = server.psql(
        "mlflow", "m'1", "mlflow", "--command=SELECT tableowner FROM pg_tables WHERE tablename = 'kept'"
    )
    assert "mlflow" in owner.stdout


@dataclass
class Backups:
    """The pods that back up and bring back, as processes of this machine, with a repository in a folder."""

    server: Server
    root: Path

    def run(self, program: str, folder: str, **variables: str) -> subprocess.CompletedProcess[str]:
        place = self.root / folder
        place.mkdir(exist_ok=True)
        environment = {
            **self.server.environment,
            "RESTIC_REPOSITORY": str(self.root / "repository"),
            "RESTIC_PASSWORD": "hush",
            "BACKUP_FOLDER": str(place),
            **variables,
        }
        return subprocess.run(
            ["sh", str(PROGRAMS / program)], env=environment, cwd=self.root, capture_output=True, text=True, check=False
        )

    def dump(self, folder: str) -> subprocess.CompletedProcess[str]:
        return self.run("dump_databases.sh", folder, **_connection("backup"))

    def save(self, folder: str, *excluded: str) -> None:
        excludes = self.root / "excludes"
        excludes.write_text("".join(f"{each}\n" for each in excluded))
        keep = "--keep-last=1 --keep-daily=7"
        done = self.run("save.sh", folder, BACKUP_PART="part", BACKUP_EXCLUDES=str(excludes), BACKUP_KEEP=keep)
        assert done.returncode == 0, done.stderr

    def fetch(self, folder: str) -> None:
        done = self.run("fetch.sh", folder, BACKUP_SNAPSHOT="latest", BACKUP_FETCH="")
        assert done.returncode == 0, done.stderr

    def restore(self, folder: str) -> subprocess.CompletedProcess[str]:
        return self.run("restore_databases.sh", folder, **_connection("admin"))


def _connection(user: str) -> dict[str, str]:
    return {"PGHOST": "127.0.0.1", "PGPORT": str(PORT), "PGUSER": user, "PGPASSWORD": PASSWORDS[user]}


@pytest.fixture
def backups(server: Server, tmp_path: Path) -> Backups:
    return Backups(server, tmp_path)


def test_databases_are_what_their_backup_holds_with_their_accounts(server: Server, backups: Backups) -> None:
    server.make("shop", shop="s1", reader="r2")
    server.psql("shop", "s1", "shop", "--command=INSERT INTO kept VALUES (1), (2)")
    assert backups.dump("dumps").returncode == 0
    backups.save("dumps")
    server.psql("shop", "s1", "shop", "--command=DROP TABLE kept; CREATE TABLE later ()")
    assert backups.dump("later").returncode == 0

    backups.fetch("fetched")
    restored = backups.restore("fetched")

    assert restored.returncode == 0, restored.stderr
    assert "database shop" in restored.stdout
    assert server.rows("shop", "s1", "shop") == ["1", "2"]
    assert server.rows("reader", "r2", "shop") == ["1", "2"]
    assert server.may("backup", PASSWORDS["backup"], "shop")
    assert not server.may("exporter", PASSWORDS["exporter"], "shop")
    left = server.psql("shop", "s1", "shop", "--tuples-only", "--command=SELECT to_regclass('later')")
    assert left.stdout.strip() == ""
    owner = server.psql(
        "shop", "s1", "shop", "--tuples-only", "--command=SELECT tableowner FROM pg_tables WHERE tablename = 'kept'"
    )
    assert owner.stdout.strip() == "shop"
    assert backups.dump("again").returncode == 0  # who backs up may read what was restored


def test_a_dump_that_is_broken_leaves_the_database_as_it_was(server: Server, backups: Backups) -> None:
    server.make("shop", shop="s1", reader="r2")
    before = server.rows("shop", "s1", "shop")
    assert backups.dump("dumps").returncode == 0
    dump = backups.root / "dumps" / "shop.dump"
    dump.write_bytes(dump.read_bytes()[:-200])
    for other in set((backups.root / "dumps").iterdir()) - {dump}:
        other.unlink()

    assert backups.restore("dumps").returncode != 0
    assert server.rows("shop", "s1", "shop") == before


def test_a_database_that_nobody_has_made_again_is_refused(server: Server, backups: Backups) -> None:
    server.make("shop", shop="s1", reader="r2")
    assert backups.dump("dumps").returncode == 0
    dump = backups.root / "dumps" / "shop.dump"
    dump.rename(dump.with_name("gone.dump"))

    refused = backups.restore("dumps")

    assert refused.returncode == 1
    assert "there is no database gone" in refused.stderr
    assert backups.restore("empty").returncode == 1


def test_a_volumes_backup_leaves_out_what_is_made_anew(backups: Backups) -> None:
    folder = backups.root / "volume"
    for name in ("bundles/a/pipeline.yaml", "bundles/a/.venv/lib", "uv-cache/wheel"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    backups.save("volume", "uv-cache", "bundles/*/.venv")
    (folder / "bundles/a/pipeline.yaml").write_text("changed")
    backups.save("volume", "uv-cache", "bundles/*/.venv")

    backups.fetch("fetched")

    found = backups.root / "fetched"
    assert [str(each.relative_to(found)) for each in found.rglob("*") if each.is_file()] == ["bundles/a/pipeline.yaml"]
    assert (found / "bundles/a/pipeline.yaml").read_text() == "changed"


def test_a_repository_that_another_password_opens_is_left_alone(backups: Backups) -> None:
    (backups.root / "volume").mkdir()
    (backups.root / "volume" / "file").write_text("x")
    backups.save("volume")
    excludes = backups.root / "excludes"
    variables = {"BACKUP_PART": "x", "BACKUP_EXCLUDES": str(excludes), "BACKUP_KEEP": "--keep-last=1"}

    assert backups.run("save.sh", "volume", **variables, RESTIC_PASSWORD="other").returncode != 0
