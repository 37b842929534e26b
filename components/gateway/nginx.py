"""nginx as the platform's one entrance.

Provides TLS with a certificate of the environment's own CA, renewed by itself, basic authentication in front of every
service that has none, and an index of what is behind it. Leaves out single sign-on and certificates of a public CA.

Upstream: https://nginx.org/en/docs/, written for nginx 1.18 to 1.30 as Debian, Ubuntu, and the official image ship
them.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
from typing import Annotated, ClassVar, Literal

import pulumi
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from components.base import Account, Component, FlavorSpec, Inputs, PersonAccount, ReplicatedSpec
from components.gateway import GatewayOutputs
from components.gateway.parts import collector, pod
from components.nginx import reload_step
from components.programs import program_files
from components.templates import render
from terrace.certificates import CertificateAuthority
from terrace.password import Password
from terrace.rights import RIGHTS, includes
from terrace.targets.base import Service
from terrace.targets.host import HostTarget
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload

ACCOUNT = "terrace"


def _ipv4_address(value: str) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise PydanticCustomError("address", "it should be an IPv4 address") from None
    if address.is_unspecified:
        raise PydanticCustomError("address", "it should be one address of this machine, by which clients reach it")
    return value


class NginxSpec(ReplicatedSpec):
    """Options of the entrance."""

    flavor: Literal["nginx"] = "nginx"
    address: Annotated[str, AfterValidator(_ipv4_address)] | None = Field(
        None,
        description="On a host, the IPv4 address that it listens on, and is reached by; by default its host's.",
        json_schema_extra={"pattern": r"^\d{1,3}(\.\d{1,3}){3}$"},
    )
    port: int = Field(8443, ge=1024, le=65535, description="TCP port, HTTPS.")
    workers: int = Field(1, ge=1, le=64, description="Server processes.")
    status_port: int = Field(15080, ge=1024, le=65535, description="TCP port of its own status, on loopback.")
    exporter_port: int = Field(15081, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")


class Nginx(Component[NginxSpec, GatewayOutputs]):
    """An nginx entrance."""

    token: ClassVar[str] = "terrace:gateway:Nginx"
    spec_type: ClassVar[type[FlavorSpec]] = NginxSpec
    tells_audit: ClassVar[str] = "gateway"
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: NginxSpec, inputs: Inputs) -> GatewayOutputs:
        """Run the entrance; services bring their routes themselves."""
        account = Account(ACCOUNT, Password("gateway-account", self).value)
        build = self.on_host if isinstance(self.target, HostTarget) else self.on_kubernetes
        host, inside, resource = build(spec, account, inputs.people)
        outputs = GatewayOutputs(host, spec.port, self.target.ca_file, account, inside, "gateway", resource)
        self.target.services.append(
            Service(
                "gateway", spec.flavor, "gateway", f"{outputs.url}/", f"https://{inside}:{spec.port}/healthz", spec.port
            )
        )
        return outputs

    def on_host(
        self, spec: NginxSpec, account: Account, people: tuple[PersonAccount, ...]
    ) -> tuple[str, str, pulumi.Resource]:
        """Run it on the host's address, with routes that services put into a folder."""
        target = self.on(HostTarget)
        spec = spec.model_copy(update={"address": spec.address or target.own_address})
        address = str(spec.address)
        return address, address, target.run(_workload(spec, target, account, people), self)

    def on_kubernetes(
        self, spec: NginxSpec, account: Account, people: tuple[PersonAccount, ...]
    ) -> tuple[str, str, pulumi.Resource]:
        """Run it in a pod, with the routes of all services among its files."""
        target = self.on(KubernetesTarget)
        names = target.service_names("gateway")
        host = target.blueprint.spec.kubernetes.address or names[0]
        files = (
            *_files(pod.configuration(spec, target), target.authority, account, people),
            *target.route_files(pod.ROUTES),
        )
        workload = pod.workload(spec, target, files, (host, *names))
        return host, target.host_of("gateway"), target.run(workload, self)


def _workload(spec: NginxSpec, target: HostTarget, account: Account, people: tuple[PersonAccount, ...]) -> Workload:
    audit = collector.of(target.audit_port, target.routes_folder)
    return Workload(
        name="gateway",
        artifact=Artifact(lock="gateway", packages=("nginx-light", "prometheus-nginx-exporter")),
        setup=(SetupStep("certificate", ("$(BIN)/python", "$(CONFIG)/certificates.py")), reload_step("people")),
        processes=(
            Process("server", ("/usr/sbin/nginx", "-c", "$(CONFIG)/nginx.conf", "-e", "stderr"), memory_mb=512),
            Process("access", ("/usr/bin/python3", "$(CONFIG)/access_log.py"), memory_mb=128),
            Process("exporter", _exporter_command(spec), memory_mb=256),
            Process("certificate", ("$(BIN)/python", "$(CONFIG)/certificates.py", "keep"), memory_mb=128),
            *audit.processes,
        ),
        ports=(
            Port("https", spec.port, public=True),
            Port("status", spec.status_port),
            Port("metrics", spec.exporter_port),
        ),
        files=(
            *_files(_configuration(spec, target), target.authority, account, people),
            *audit.files,
        ),
        environment={
            "ACCESS_LOG_SOCKET": "$(DATA)/access.sock",
            "CERTIFICATE_FOLDER": "$(DATA)/tls",
            "NGINX_PID": "$(DATA)/nginx.pid",
            "CERTIFICATE_HOSTS": ",".join(dict.fromkeys((str(spec.address), "localhost", "127.0.0.1"))),
            **audit.environment,
        },
        probe=Probe("status", "/status", timeout_seconds=30),
        metrics=(Metrics("metrics"), Metrics("status", "/certificates")),
        unsaved=(".",),
    )


def _files(
    configuration: str, authority: CertificateAuthority, account: Account, people: tuple[PersonAccount, ...]
) -> tuple[File, ...]:
    return (
        File("nginx.conf", configuration),
        File("accounts", _accounts(account, people), live=True),
        File("rights.conf", _rights(account, people), live=True),
        File("ca.crt", authority.certificate),
        File("ca.key", authority.key),
        *program_files("gateway", "access_log.py"),
        *program_files("gateway", "certificates.py"),
    )


def _configuration(spec: NginxSpec, target: HostTarget) -> str:
    return render(
        "gateway",
        "nginx.conf",
        environment=target.environment,
        routes=target.routes_folder,
        audit=target.audit_port is not None,
        portal=None,
        **spec.model_dump(),
    )


def _accounts(account: Account, people: tuple[PersonAccount, ...]) -> pulumi.Output[str]:
    """Return nginx's password file.

    nginx checks the password anew for every request, which a slow hash would make slow. The passwords are random and
    192 bits long, so a fast salted hash cannot be searched for them.
    """
    everybody = (account, *people)

    def lines(passwords: list[str]) -> str:
        return "".join(_account_line(each.user, password) for each, password in zip(everybody, passwords, strict=True))

    return pulumi.Output.all(*(each.password for each in everybody)).apply(lines)


def _account_line(user: str, password: str) -> str:
    salt = hashlib.sha256(f"{user}:{password}".encode()).digest()[:8]
    digest = hashlib.sha1(password.encode() + salt).digest()  # noqa: S324  # see _accounts
    return f"{user}:{{SSHA}}{base64.b64encode(digest + salt).decode()}\n"


def _rights(account: Account, people: tuple[PersonAccount, ...]) -> str:
    """Return nginx's map of who may do what: «user slot right», a line for each right that a higher one includes.

    The platform's own account may do everything.
    """
    lines = [
        f'"{person.user} {slot} {right}" 1;'
        for person in people
        for slot, held in sorted(person.member.rights.items())
        for right in RIGHTS[1:]
        if includes(held, right)
    ]
    return render("gateway", "rights.conf", account=account.user, lines=lines)


def _exporter_command(spec: NginxSpec) -> tuple[str, ...]:
    return (
        "/usr/bin/prometheus-nginx-exporter",
        f"-nginx.scrape-uri=http://127.0.0.1:{spec.status_port}/status",
        f"-web.listen-address=127.0.0.1:{spec.exporter_port}",
    )
