"""Backups of a platform on Kubernetes: what its jobs run, on a real PostgreSQL and with a repository in a folder."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.backup import programs
from tests.host.pod_server import AS_POSTGRES, PASSWORDS, PLANTED, PORT, Server, running

PROGRAMS = Path(programs.__file__).parent
pytestmark = pytest.mark.usefixtures("platform")  # which installs PostgreSQL and restic


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("pod")) as found:
        yield found


@dataclass
class Backups:
    """The pods that back up and bring back, as processes of this machine, with a repository in a folder."""

    server: Server
    root: Path

    def run(self, program: str, folder: str, *become: str, **variables: str) -> subprocess.CompletedProcess[str]:
        place = self.root / folder
        place.mkdir(exist_ok=True)
        environment = {
            **self.server.environment,
            "RESTIC_REPOSITORY": str(self.root / "repository"),
            "RESTIC_PASSWORD": "hush",
            "BACKUP_FOLDER": str(place),
            **variables,
        }
        command = [*become, "sh", str(PROGRAMS / program)]
        return subprocess.run(command, env=environment, cwd=self.root, capture_output=True, text=True, check=False)

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

    def snapshots(self) -> list[str]:
        told = {
            **self.server.environment,
            "RESTIC_REPOSITORY": str(self.root / "repository"),
            "RESTIC_PASSWORD": "hush",
        }
        command = ["restic", "--no-cache", "snapshots", "--json"]
        done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
        return [each["id"] for each in json.loads(done.stdout)]

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
    assert backups.dump("dumps").returncode == 0
    server.psql("shop", "s1", "shop", "--command=INSERT INTO kept VALUES (3)")
    before = server.rows("shop", "s1", "shop")
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
    kept = ["bundles/a/pipeline.yaml", "bundles/a/uv-cache/no-cache"]
    for name in (*kept, "bundles/a/.venv/lib", "uv-cache/wheel", "lost+found/of-the-file-system"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    backups.save("volume", "uv-cache", "bundles/*/.venv")
    (folder / "bundles/a/pipeline.yaml").write_text("changed")
    backups.save("volume", "uv-cache", "bundles/*/.venv")

    backups.fetch("fetched")

    found = backups.root / "fetched"
    assert sorted(str(each.relative_to(found)) for each in found.rglob("*") if each.is_file()) == kept
    assert (found / "bundles/a/pipeline.yaml").read_text() == "changed"


def test_a_repository_that_another_password_opens_is_left_alone(backups: Backups) -> None:
    (backups.root / "volume").mkdir()
    (backups.root / "volume" / "file").write_text("x")
    backups.save("volume")
    excludes = backups.root / "excludes"
    variables = {"BACKUP_PART": "x", "BACKUP_EXCLUDES": str(excludes), "BACKUP_KEEP": "--keep-last=1"}

    before = backups.snapshots()
    refused = backups.run("save.sh", "volume", **variables, RESTIC_PASSWORD="other")
    assert refused.returncode != 0
    assert "config file already exists" in refused.stderr
    assert backups.snapshots() == before


def test_what_a_dump_holds_cannot_make_its_owner_a_superuser(server: Server, backups: Backups) -> None:
    server.make("shop", shop="s1", reader="r2")
    assert server.psql("shop", "s1", "shop", f"--command={PLANTED}").returncode == 0
    before = server.rows("shop", "s1", "shop")
    assert backups.dump("planted").returncode == 0
    for other in set((backups.root / "planted").iterdir()) - {backups.root / "planted" / "shop.dump"}:
        other.unlink()

    refused = backups.restore("planted")

    assert refused.returncode != 0
    assert "ALTER ROLE" in refused.stderr or "superuser" in refused.stderr
    assert server.superusers() == {"admin", "postgres"}
    assert server.rows("shop", "s1", "shop") == before


def test_a_file_that_cannot_be_read_fails_a_backup_that_is_made_nevertheless(backups: Backups, tmp_path: Path) -> None:
    folder = backups.root / "volume"
    folder.mkdir()
    for name in ("open", "shut"):
        (folder / name).write_text(name)
    (folder / "shut").chmod(0)
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(place.stat().st_mode | 0o055)
    shutil.chown(folder / "shut", "root")
    (backups.root / "repository").mkdir()
    shutil.chown(backups.root / "repository", "postgres")
    (backups.root / "excludes").touch()
    variables = {"BACKUP_PART": "x", "BACKUP_EXCLUDES": str(backups.root / "excludes"), "BACKUP_KEEP": "--keep-last=1"}

    done = backups.run("save.sh", "volume", *AS_POSTGRES, **variables)

    assert done.returncode == 3, done.stderr
    assert "permission denied" in done.stdout
    assert len(backups.snapshots()) == 1
