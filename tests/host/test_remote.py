"""Two machines, each reached by SSH alone: what is on which, what is between them, and what happens without one."""

from __future__ import annotations

import json
import re
import shutil
import ssl as tls
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from terrace import doctor, remote, ssh
from terrace.errors import OperationError
from tests.host.conftest import ROOT, Platform, _variables
from tests.host.machine import wait_for
from tests.host.machines import PROXY, Machine, machines

ENVIRONMENT = "remote"
DATA, FRONT = "data-1", "front-1"
SLOTS = ("backup", "database", "gateway", "monitoring")
# What takes long to install stays out: it would show nothing that these don't.
ALSO = ("tracking/mlflow-postgres_database", "**terrace:Password::**", "**terrace:CertificateAuthority::**")
SPEC = """\
config:
  terrace:tier: 1
  terrace:target: host
  terrace:platform:
    name: platform
    network: {{{network}}}
    hosts:
      - {{name: {data.name}, address: {data.address}, groups: [data, tracking], {data_ssh}}}
      - {{name: {front.name}, address: {front.address}, groups: [serving, training, monitoring], {front_ssh}}}
    database: {{connections: 90}}
    monitoring: {{retention_days: 20}}
    backup: {{place: /mnt/backups}}
"""
# Says whether a TLS connection is kept open by who takes it, with the certificate of a folder or without one.
KNOCK = """
import socket, ssl, sys
address, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if folder:
    context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
try:
    with context.wrap_socket(socket.create_connection((address, port), timeout=10)) as connection:
        connection.settimeout(2)
        connection.recv(1)
    print("closed")
except TimeoutError:
    print("open")
except OSError:
    print("closed")
"""


@dataclass(frozen=True)
class Fleet:
    """The project and its machines."""

    project: Platform
    data: Machine
    front: Machine

    def __iter__(self) -> Iterator[Machine]:
        return iter((self.data, self.front))

    def up(self, *, check: bool = True) -> str:
        """Bring up the slots that the tests look at, and return what was said."""
        names = [f"platform/{what}-{machine.name}" for what in ("host", "base", "link") for machine in self]
        announced = f"platform/link-{DATA}-announcement-{FRONT}"
        targets = [word for name in (*SLOTS, *ALSO, *names, announced) for word in ("--target", name)]
        done = self.project.terrace("up", ENVIRONMENT, "--yes", *targets, check=check)
        assert done.returncode == (0 if check else 1)
        return done.stdout + done.stderr

    def status(self) -> dict[str, dict[str, Any]]:
        """Return the services that were brought up, by name, as they are."""
        services = self.project.json("status", ENVIRONMENT, check=False)["services"]
        return {service["name"]: service for service in services if service["slot"] in (*SLOTS, "link")}

    def unhealthy(self) -> set[str]:
        """Return the names of services that aren't healthy."""
        return {name for name, service in self.status().items() if not service["healthy"]}

    def sql(self, statement: str) -> str:
        """Run a statement in a consumer's database, on its server's host."""
        user = f"terrace-{ENVIRONMENT}-postgres"
        socket = f"/var/lib/terrace/{ENVIRONMENT}/postgres/socket"
        psql = ["psql", "--no-psqlrc", "-tAc", statement, f"--host={socket}", "--port=15432", "--dbname=mlflow"]
        become = ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        return self.data.run(*become, *psql).stdout.strip()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A platform on two machines; what it has left on them is looked at when it is destroyed."""
    folder = tmp_path_factory.mktemp("fleet")
    connections = set(_connections())
    with machines(folder, DATA, FRONT) as made:
        fleet = Fleet(_project(folder / "project", made, folder / "key"), made[DATA], made[FRONT])
        try:
            fleet.up()
            yield fleet
        finally:
            fleet.project.terrace("destroy", ENVIRONMENT, "--yes", "--delete-data")
        for machine in fleet:
            places = [f"/{place}/terrace/{ENVIRONMENT}" for place in ("etc", "opt", "var/lib", "var/log", "run")]
            assert machine.run("ls", "-d", *places, check=False).stdout == ""
            assert f"terrace-{ENVIRONMENT}-" not in machine.run("cat", "/etc/passwd").stdout
    for left in set(_connections()) - connections:
        shutil.rmtree(left)


def _connections() -> Iterator[Path]:
    """Yield the folders in which ssh's configuration for a host is kept."""
    return Path(tempfile.gettempdir()).glob("terrace-ssh-*/*")


def _project(folder: Path, made: dict[str, Machine], key: Path) -> Platform:
    folder.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    shutil.copytree(ROOT / "stacks", folder / "stacks", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    index = doctor.configured_index()
    network = f'proxy: "{PROXY}"' + (f', package_index: "{index}"' if index != doctor.DEFAULT_INDEX else "")

    def reached(machine: Machine) -> str:
        return f"connection: ssh, key_file: {key}, host_key: {machine.host_key}"

    data, front = made[DATA], made[FRONT]
    text = SPEC.format(network=network, data=data, front=front, data_ssh=reached(data), front_ssh=reached(front))
    (folder / "stacks" / f"Pulumi.{ENVIRONMENT}.yaml").write_text(text)
    home = folder / "home"
    home.mkdir()
    return Platform(folder, ENVIRONMENT, _variables(home))


def test_every_service_is_healthy_on_its_host(fleet: Fleet) -> None:
    assert fleet.unhealthy() == set()
    expected = {f"link-{DATA}", f"link-{FRONT}", "postgres", "gateway", "prometheus", "backup"}
    assert set(fleet.status()) >= expected
    folders = {machine.name: machine.run("ls", f"/var/lib/terrace/{ENVIRONMENT}").stdout.split() for machine in fleet}
    assert {"postgres", "backup"} <= set(folders[DATA]) - set(folders[FRONT])
    assert {"gateway", "prometheus"} <= set(folders[FRONT]) - set(folders[DATA])
    assert not Path("/etc/terrace", ENVIRONMENT).exists(), "nothing is made on the machine that it is driven from"


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    assert not re.search("created|updated|replaced|deleted", fleet.up())


def test_monitoring_reaches_the_other_host_and_this_machine_the_gateway(fleet: Fleet) -> None:
    connection = fleet.project.outputs()["connection"]
    client = requests.Session()
    client.trust_env = False
    client.verify = connection["TERRACE_CA_FILE"]
    client.auth = (connection["TERRACE_GATEWAY_USER"], connection["TERRACE_GATEWAY_PASSWORD"])
    url = f"https://{fleet.front.address}:8443/prometheus/api/v1/targets"

    def scraped() -> bool:
        targets = client.get(url).json()["data"]["activeTargets"]
        health = {(target["labels"]["service"], target["health"]) for target in targets}
        return {("postgres", "up"), ("backup", "up"), (f"link-{DATA}", "up"), ("gateway", "up")} <= health

    wait_for(scraped, 60)


def test_between_hosts_only_the_edges_are_open_and_only_to_their_host(fleet: Fleet) -> None:
    """The other host has an edge to each of the data host's ports, and the data host none to the other."""
    assert _open_ports(fleet.front) == {22, 8443}
    edges = _open_ports(fleet.data) - {22}
    served = {15432, 15433, 15060, 15200, 15201}
    assert served <= edges
    for port in sorted(edges):
        assert _knock(fleet, fleet.front, port, certificate=False) == "closed", f"{port}, without a certificate"
        assert _knock(fleet, fleet.data, port) == "closed", (
            f"{port}, with the certificate of a host that has no such edge"
        )
    assert {port: _knock(fleet, fleet.front, port) for port in served} == dict.fromkeys(served, "open")


def _open_ports(machine: Machine) -> set[int]:
    """Return the ports that are listened on at the machine's own address, or at every one."""
    lines = [line.split() for line in machine.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]]
    places = [words[1].split(":") for words in lines if words[3] == "0A"]
    return {int(port, 16) for address, port in places if not address.endswith("7F")}


def _knock(fleet: Fleet, source: Machine, port: int, *, certificate: bool = True) -> str:
    """Return whether the data host keeps a connection from ``source`` open."""
    folder = f"/var/lib/terrace/{ENVIRONMENT}/link/tls" if certificate else ""
    return source.run("python3", "-c", KNOCK, fleet.data.address, str(port), folder).stdout.strip()


def test_a_host_renews_its_own_certificate_and_the_other_takes_it(fleet: Fleet) -> None:
    place = (fleet.data.address, 15432)
    before = tls.get_server_certificate(place)
    configuration = f"/etc/terrace/{ENVIRONMENT}/supervisor/supervisord.conf"
    fleet.data.run("rm", f"/var/lib/terrace/{ENVIRONMENT}/link/tls/server.crt")
    fleet.data.run("supervisorctl", "-c", configuration, "restart", f"terrace-{ENVIRONMENT}-link-certificate")
    wait_for(lambda: tls.get_server_certificate(place) != before, 30)
    about = {"slot": "database", "flavor": "", "name": "", "url": "", "probe_url": "postgresql://127.0.0.1:15432"}
    host = next(host for host in fleet.project.outputs()["hosts"] if host["name"] == FRONT)
    (seen,) = remote.call(host, "terrace.status.probe", ENVIRONMENT, [about])
    assert seen["detail"] == "port 15432 lets accounts log in", "from the other host's loopback"


def test_a_host_with_another_key_is_not_trusted(fleet: Fleet) -> None:
    stack_file = fleet.project.stack_file
    right = stack_file.read_text()
    try:
        stack_file.write_text(right.replace(fleet.data.host_key, fleet.front.host_key))
        found = fleet.project.terrace("doctor", ENVIRONMENT, check=False)
    finally:
        stack_file.write_text(right)
    assert found.returncode == 1
    assert f"{DATA} (root@{fleet.data.address}, port 22): the host has another host key" in found.stdout


def test_a_host_is_reached_through_another_whose_key_is_known(fleet: Fleet) -> None:
    data, front = (host for host in fleet.project.outputs()["hosts"])
    bastion = {name: front[name] for name in ("address", "port", "user", "host_key")}
    assert ssh.run({**data, "bastion": bastion}, ["hostname"]).strip() == DATA
    with pytest.raises(OperationError, match="its bastion: the host has another host key"):
        ssh.run({**data, "bastion": {**bastion, "host_key": data["host_key"]}}, ["hostname"])


def test_an_unreachable_host_is_named_and_the_others_converge(fleet: Fleet) -> None:
    fleet.project.edit("connections: 90", "connections: 91")
    fleet.project.edit("retention_days: 20", "retention_days: 21")
    fleet.front.unplug()
    try:
        said = fleet.up(check=False)
    finally:
        fleet.front.unplug(back=True)
    assert f"{FRONT} (root@{fleet.front.address}, port 22): the host can't be reached" in said
    postgres = fleet.data.run("cat", f"/etc/terrace/{ENVIRONMENT}/postgres/postgresql.conf").stdout
    assert "max_connections = 91" in postgres
    assert "retention.time=20d" in _prometheus(fleet.front)
    fleet.up()
    assert "retention.time=21d" in _prometheus(fleet.front)
    assert fleet.unhealthy() == set()


def _prometheus(machine: Machine) -> str:
    return machine.run("cat", f"/etc/terrace/{ENVIRONMENT}/supervisor/conf.d/prometheus.conf").stdout


def test_no_key_and_no_password_stands_in_the_inventory_or_the_outputs(fleet: Fleet) -> None:
    plain = json.dumps(fleet.project.json("output", ENVIRONMENT))
    assert "PRIVATE KEY" not in plain
    hosts = fleet.project.outputs()["inventory"]["all"]["hosts"]
    assert set(hosts) == {DATA, FRONT}
    for variables in hosts.values():
        assert [name for name in variables if "pass" in name] == []
