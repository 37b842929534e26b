"""The links between hosts: nginx, which carries every edge between two hosts through mutual TLS.

A service speaks to its own host's loopback, whichever host the other service is on. Each host has an authority of its
own, which issues and renews its certificate there. On an edge both ends trust the other's authority alone, so that a
port takes connections from the hosts that have that edge, and from nobody else.

What services tell an audit log on another host goes through a program of its own, since the log wants to know who it
is that speaks, and which host.

Upstream: https://nginx.org/en/docs/stream/, written for nginx 1.18 to 1.26 as Debian and Ubuntu ship them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components.nginx import reload_step
from components.programs import program_files
from components.templates import render
from terrace.certificates import CertificateAuthority
from terrace.edges import LINK
from terrace.hosts import Host
from terrace.placement import Edge
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload

FLAVOR = "nginx"
PACKAGES = ("nginx-light", "libnginx-mod-stream")
EXPORTER = "prometheus-node-exporter"
RELAY = Process("audit", ("/usr/bin/python3", "-m", "audit_log.relay"), memory_mb=128)


def authority_subject(environment: str, host: str) -> str:
    """Return the common name of a host's authority."""
    return f"Terrace {environment} {host}"


@dataclass(frozen=True)
class Link:
    """One host's links.

    Args:
        environment: The environment.
        host: The host.
        addresses: Every host's address by its name.
        authorities: Every host's authority by its name.
        edges: All edges of the platform.
        status_port: Where it tells how it is.
        machine_port: Where it tells how the machine is; None where monitoring itself runs there and does.
        audit_port: That of the audit log; None where there is none.
    """

    environment: str
    host: Host
    addresses: Mapping[str, str]
    authorities: Mapping[str, CertificateAuthority]
    edges: Sequence[Edge]
    status_port: int
    machine_port: int | None
    audit_port: int | None

    def workload(self) -> Workload:
        """Return the service that keeps them up."""
        authority = self.authorities[self.host.name]
        watched = self.machine_port is not None
        return Workload(
            name=LINK,
            artifact=Artifact("gateway", (*PACKAGES, *((EXPORTER,) if watched else ()))),
            setup=(SetupStep("certificate", ("$(BIN)/python", "$(CONFIG)/certificates.py")), reload_step("edges")),
            processes=(
                Process("server", ("/usr/sbin/nginx", "-c", "$(CONFIG)/nginx.conf", "-e", "stderr"), memory_mb=512),
                Process("certificate", ("$(BIN)/python", "$(CONFIG)/certificates.py", "keep"), memory_mb=128),
                *((self._exporter(),) if watched else ()),
                *((RELAY,) if self._log else ()),
            ),
            ports=(
                Port("status", self.status_port),
                *((Port("machine", self.machine_port),) if self.machine_port else ()),
            ),
            files=(
                File("nginx.conf", self._configuration(), live=True),
                *self._trusted(),
                File("ca.crt", authority.certificate),
                File("ca.key", authority.key),
                *program_files("gateway", "certificates.py"),
                *(program_files("audit", "audit_log") if self._log else ()),
            ),
            environment={
                "CERTIFICATE_FOLDER": "$(DATA)/tls",
                "NGINX_PID": "$(DATA)/nginx.pid",
                "CERTIFICATE_USES": "server,client",
                "CERTIFICATE_HOSTS": f"{self.host.name},{self.host.address}",
                **(self._way_to(self._log) if self._log else {}),
            },
            probe=Probe("status", "/status", timeout_seconds=30),
            metrics=(Metrics("status", "/certificates"), *((Metrics("machine"),) if watched else ())),
            unsaved=(".",),
        )

    @property
    def _log(self) -> Edge | None:
        """The edge to an audit log on another host, if there is one."""
        return next((edge for edge in self._outgoing if edge.port == self.audit_port), None)

    @property
    def _outgoing(self) -> list[Edge]:
        return [edge for edge in self.edges if edge.consumer == self.host.name]

    @property
    def _incoming(self) -> list[Edge]:
        return [edge for edge in self.edges if edge.provider == self.host.name]

    def _way_to(self, log: Edge) -> dict[str, str]:
        return {
            "PYTHONPATH": "$(CONFIG)",
            "AUDIT_ENVIRONMENT": self.environment,
            "AUDIT_ADDRESS": self.addresses[log.provider],
            "AUDIT_PORT": str(log.port),
            "AUDIT_AUTHORITY": f"$(CONFIG)/authorities/{log.provider}.crt",
        }

    def _exporter(self) -> Process:
        command = (f"/usr/bin/{EXPORTER}", f"--web.listen-address=127.0.0.1:{self.machine_port}")
        return Process("machine", command, memory_mb=256)

    def _configuration(self) -> str:
        return render(
            "gateway",
            "link.conf",
            host=self.host,
            addresses=self.addresses,
            outgoing=[edge for edge in self._outgoing if edge.port != self.audit_port],
            incoming=sorted({edge.port for edge in self._incoming} - {self.audit_port}),
            tellers={
                authority_subject(self.environment, edge.consumer): edge.consumer
                for edge in self._incoming
                if edge.port == self.audit_port
            },
            audit_port=self.audit_port,
            status_port=self.status_port,
        )

    def _trusted(self) -> Iterator[File]:
        """Yield the authorities of the hosts that it reaches, and for each of its ports those of the port's users."""
        for name in sorted({edge.provider for edge in self._outgoing}):
            yield File(f"authorities/{name}.crt", self.authorities[name].certificate, live=True)
        users: dict[int, list[str]] = {}
        for edge in self._incoming:
            users.setdefault(edge.port, []).append(edge.consumer)
        for port, names in sorted(users.items()):
            certificates = pulumi.Output.all(*(self.authorities[name].certificate for name in names))
            yield File(f"clients/{port}.crt", certificates.apply("".join), live=True)
