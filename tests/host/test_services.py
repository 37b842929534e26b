"""What stands on the machine after `up`: users, files, processes, ports, and limits."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from testinfra.host import Host

from terrace.rights import RightsTable
from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import listeners, processes, supervisor_status, users
from tests.host.workbench import NEWCOMER, workbench, workbench_of

SERVICES = (
    *("airflow", "audit", "backup", "evidently", "feast", "gateway", "mlflow", "mlserver"),
    *("portal", "postgres", "prometheus", "workbench"),
)
WORKBENCHES = tuple(workbench(role) for role in RightsTable.load().slots["workbench"].roles["use"])
LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
DAEMONS = {  # packages with a service of the same name, or with -common behind it
    *("nginx-common", "postgresql-common", "supervisor", "prometheus", "prometheus-alertmanager"),
    *("prometheus-nginx-exporter", "prometheus-node-exporter", "prometheus-postgres-exporter"),
}


def test_every_service_is_healthy(platform: Platform) -> None:
    status = platform.json("status", ENVIRONMENT)
    assert {service["name"] for service in status["services"]} >= set(SERVICES)
    assert [service for service in status["services"] if not service["healthy"]] == []


@pytest.mark.usefixtures("platform")
def test_every_program_runs() -> None:
    states = supervisor_status(ENVIRONMENT)
    assert len(states) >= len(SERVICES)
    assert set(states.values()) == {"RUNNING"}


@pytest.mark.usefixtures("platform")
def test_every_service_has_a_user_of_its_own(host: Host) -> None:
    expected = {f"terrace-{ENVIRONMENT}-{service}" for service in (*SERVICES, *WORKBENCHES)}
    left = f"terrace-{ENVIRONMENT}-{workbench_of(NEWCOMER)}"  # in other tests; their files stay, and so does their user
    assert set(users(ENVIRONMENT)) - {left} == expected
    for name in users(ENVIRONMENT):
        user = host.user(name)
        assert user.shell == "/usr/sbin/nologin"
        assert user.groups == [name]


@pytest.mark.usefixtures("platform")
def test_services_listen_on_loopback_alone() -> None:
    found = listeners(ENVIRONMENT)
    assert len(found) >= len(SERVICES)
    assert {port: addresses for port, addresses in found.items() if not addresses <= LOOPBACK} == {}


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("service", [*SERVICES, *WORKBENCHES])
def test_only_the_service_reads_its_files(host: Host, service: str) -> None:
    user = f"terrace-{ENVIRONMENT}-{service}"
    folder = Path("/etc/terrace", ENVIRONMENT, service)
    for path in (folder, *folder.rglob("*")):
        if "__pycache__" in path.parts:
            continue
        found = path.lstat()
        assert stat.S_IMODE(found.st_mode) == (0o750 if path.is_dir() else 0o640), path
        assert (path.owner(), path.group()) == ("root", user), path
    data = host.file(f"/var/lib/terrace/{ENVIRONMENT}/{service}")
    assert (data.user, data.mode) == (user, 0o700)
    software = Path("/opt/terrace", ENVIRONMENT, service)
    own = [path for path in software.rglob("*") if path.owner() == user and "socket" not in path.parts]
    assert own == [], "a service may not change its software"


@pytest.mark.usefixtures("platform")
def test_a_service_cannot_read_the_secrets_of_another() -> None:
    reader = f"terrace-{ENVIRONMENT}-mlserver"
    secrets = f"/etc/terrace/{ENVIRONMENT}/mlflow/environment.json"
    command = ["setpriv", "--reuid", reader, "--regid", reader, "--clear-groups", "cat", secrets]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr


@pytest.mark.usefixtures("platform")
def test_every_process_has_a_memory_limit() -> None:
    running = processes(ENVIRONMENT)
    assert len(running) >= len(SERVICES)
    for process in running:
        line = next(
            line for line in Path(f"/proc/{process.pid}/limits").read_text().splitlines() if line.startswith("Max data")
        )
        assert "unlimited" not in line, f"{process.user}: {process.command}"


@pytest.mark.usefixtures("platform")
def test_services_of_the_distribution_were_not_started() -> None:
    for program in ("nginx", "prometheus", "prometheus-node-exporter", "prometheus-alertmanager"):
        found = subprocess.run(
            ["pgrep", "-x", program[:15]], capture_output=True, text=True, check=False
        ).stdout.split()
        owners = {Path(f"/proc/{pid}").owner() for pid in found}
        assert all(owner.startswith("terrace-") for owner in owners), f"{program} runs as {owners}"


@pytest.mark.usefixtures("platform")
def test_services_of_the_distribution_do_not_start_at_a_boot() -> None:
    manifest = Path(f"/etc/terrace/{ENVIRONMENT}/manifest.d")
    came = set((manifest / "packages").read_text().split()) if (manifest / "packages").is_file() else set()
    for package in came & DAEMONS:
        mask = Path(f"/etc/systemd/system/{package.removesuffix('-common')}.service")
        assert mask.readlink() == Path("/dev/null"), f"{mask} of {package} is not masked"
        assert list(Path("/etc").glob(f"rc[2-5].d/S*{mask.stem}")) == []
        assert str(mask) in (manifest / "masked").read_text().split(), "the end of the environment lifts it"
    if "postgresql-common" in came:
        assert list(Path("/etc/postgresql").glob("*/main")) == [], "the distribution has made no cluster"
