"""A platform on two machines of the tests' own, and what they reach of each other."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace import doctor
from tests.host.conftest import ROOT, Platform, _variables
from tests.host.machine import CONNECT
from tests.host.machines import PROXY, Machine

ENVIRONMENT = "remote"
DATA, FRONT = "data-1", "front-1"
SLOTS = ("audit", "backup", "database", "gateway", "monitoring", "pipelines")
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
      - {{name: {data.name}, address: {data.address}, groups: [data, tracking], {data_way}}}
      - {{name: {front.name}, address: {front.address}, groups: [serving, training, monitoring], {front_way}}}
    database: {{connections: 90}}
    monitoring: {{retention_days: 20}}
    backup: {{place: /mnt/backups}}
    audit: {{}}
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

# Asks the audit log of another host for its health, with the certificate of a folder or without one; prints the status.
ASK = """
import http.client, ssl, sys
address, port, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if folder:
    context.load_cert_chain(folder + "/server.crt", folder + "/server.key")
connection = http.client.HTTPSConnection(address, port, timeout=10, context=context)
connection.request("GET", "/health")
print(connection.getresponse().status)
"""

# Prints the certificate of an address that the database is reached by, seen without one.
SHOW_CERTIFICATE = """
import ssl, sys
try:
    print(ssl.get_server_certificate((sys.argv[1], 15432)))
except OSError:
    pass
"""
# Asks the audit log with this method, path, and body, and prints the status.
ASK_THE_LOG = """
import http.client, sys
connection = http.client.HTTPConnection("127.0.0.1", 18190, timeout=30)
connection.request(*sys.argv[1:], {"X-Audit-Source": "gateway", "X-Audit-Host": "front-1"})
print(connection.getresponse().status)
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
        names = [f"platform/{what}-{machine.name}" for what in ("host", "base", "firewall", "link") for machine in self]
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
        return self.data.run(*become(user), *psql).stdout.strip()


def connections() -> Iterator[Path]:
    """Yield the folders in which ssh's configuration for a host is kept."""
    return Path(tempfile.gettempdir()).glob("terrace-ssh-*/*")


def make_project(folder: Path, made: dict[str, Machine], key: Path) -> Platform:
    """Make a project with the platform of ``SPEC`` on the machines."""
    data, front = made[DATA], made[FRONT]
    ways = {"data_way": way(data, key), "front_way": way(front, key)}
    return write_project(folder, ENVIRONMENT, SPEC.format(network=network(), data=data, front=front, **ways))


def write_project(folder: Path, environment: str, stack: str) -> Platform:
    """Make a project with one environment, whose stack file holds ``stack``."""
    folder.mkdir()
    shutil.copy(ROOT / "Pulumi.yaml", folder / "Pulumi.yaml")
    shutil.copytree(ROOT / "stacks", folder / "stacks", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
    (folder / "stacks" / f"Pulumi.{environment}.yaml").write_text(stack)
    home = folder / "home"
    home.mkdir()
    return Platform(folder, environment, _variables(home))


def network() -> str:
    """Return what a spec says of how the machines reach packages."""
    index = doctor.configured_index()
    return f'proxy: "{PROXY}"' + (f', package_index: "{index}"' if index != doctor.DEFAULT_INDEX else "")


def way(machine: Machine, key: Path) -> str:
    """Return what a spec says of how a machine is reached, and that it has a firewall."""
    ssh = f"connection: ssh, key_file: {key}, host_key: {machine.host_key}"
    return f"{ssh}, configure: {{firewall: {{}}}}"


def open_ports(machine: Machine) -> set[int]:
    """Return the ports that are listened on at the machine's own address, or at every one."""
    lines = [line.split() for line in machine.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]]
    places = [words[1].split(":") for words in lines if words[3] == "0A"]
    return {int(port, 16) for address, port in places if not address.endswith("7F")}


def knock(fleet: Fleet, source: Machine, port: int, *, certificate: bool = True) -> str:
    """Return whether the data host keeps a connection from ``source`` open."""
    return _with_certificate(source, KNOCK, fleet.data.address, port, certificate=certificate)


def ask_the_log(fleet: Fleet, source: Machine, *, certificate: bool = True) -> str:
    """Return the status with which the data host answers ``source`` at the audit log's port."""
    return _with_certificate(source, ASK, fleet.data.address, 18190, certificate=certificate)


def _with_certificate(source: Machine, program: str, address: str, port: int, *, certificate: bool) -> str:
    folder = f"/var/lib/terrace/{ENVIRONMENT}/link/tls" if certificate else ""
    return source.run("python3", "-c", program, address, str(port), folder).stdout.strip()


def connect(source: Machine | None, address: str, ports: list[int], user: str = "root") -> set[int]:
    """Return the ports that take connections from a user of the machine; of this one, where there is none."""
    command = [*become(user), "/usr/bin/python3", "-c", CONNECT, address, *map(str, ports)]
    done = subprocess.run(
        source.command(*command) if source else command, capture_output=True, text=True, check=True, cwd="/"
    )
    return {int(port) for port, accepted in json.loads(done.stdout).items() if accepted}


def become(user: str) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups") if user != "root" else ()
