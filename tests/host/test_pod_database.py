"""PostgreSQL's pod on Kubernetes, by the distribution's programs: its setup step, and a database's Job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.backup.programs.backup_agent import databases
from tests.host.pod_server import PASSWORDS, PLANTED, PORT, Server, running

pytestmark = pytest.mark.usefixtures("platform")  # which installs PostgreSQL and restic


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("pod")) as found:
        yield found


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


def test_what_a_dump_holds_cannot_make_its_owner_a_superuser_on_a_host_either(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent of a host's backups restores here, too."""
    server.make("shop", shop="s1", reader="r2")
    monkeypatch.setenv("PGPASSWORD", PASSWORDS["admin"])
    monkeypatch.setenv("PATH", server.environment["PATH"])
    agent = databases.Server(SimpleNamespace(socket="127.0.0.1", database_port=PORT), "admin")

    server.psql("shop", "s1", "shop", "--command=INSERT INTO kept VALUES (1)")
    agent.dump("shop", tmp_path / "good")
    server.psql("shop", "s1", "shop", "--command=INSERT INTO kept VALUES (2)")
    agent.restore("shop", tmp_path / "good")
    assert server.rows("shop", "s1", "shop") == ["1"]

    assert server.psql("shop", "s1", "shop", f"--command={PLANTED}").returncode == 0
    agent.dump("shop", tmp_path / "planted")
    with pytest.raises(databases.AgentError, match="pg_restore failed"):
        agent.restore("shop", tmp_path / "planted")
    assert server.rows("shop", "s1", "shop") == ["1"]
    assert server.superusers() == {"admin", "postgres"}
    assert databases.RESTORER not in server.roles()
