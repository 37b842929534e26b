"""The gateway in a pod: nginx and its exporter in upstream's images, certificates and access log beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from components.gateway.parts import collector
from components.templates import render
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload

if TYPE_CHECKING:
    from components.gateway.nginx import NginxSpec

ROUTES = "routes"
ROUTES_FOLDER = f"$(CONFIG)/{ROUTES}"
CERTIFICATES = ("$(BIN)/python", "$(CONFIG)/certificates.py")


def workload(spec: NginxSpec, target: KubernetesTarget, files: tuple[File, ...], names: tuple[str, ...]) -> Workload:
    """Return the entrance's pod.

    Args:
        spec: Its options.
        target: Where it runs.
        files: All files.
        names: The names that its certificate has, beside those of its own loopback.
    """
    nginx = ("/usr/sbin/nginx", "-c", "$(CONFIG)/nginx.conf", "-e", "stderr")
    audit = collector.in_cluster(target, ROUTES_FOLDER)
    return Workload(
        name="gateway",
        replicas=spec.replicas,
        artifact=Artifact(lock="gateway"),
        setup=(SetupStep("certificate", CERTIFICATES), SetupStep("routes", (*nginx, "-t", "-q"), True, "nginx")),
        processes=(
            Process("server", nginx, memory_mb=512, image="nginx"),
            Process("access", ("$(PYTHON)", "$(CONFIG)/access_log.py"), memory_mb=128),
            Process("exporter", _exporter_command(spec), memory_mb=256, image="nginx-exporter"),
            Process("certificate", (*CERTIFICATES, "keep"), memory_mb=128),
            *audit.processes,
        ),
        ports=_ports(spec),
        files=(*files, *audit.files),
        environment={
            "ACCESS_LOG_SOCKET": "$(DATA)/access.sock",
            "CERTIFICATE_FOLDER": "$(DATA)/tls",
            "NGINX_PID": "$(DATA)/nginx.pid",
            "CERTIFICATE_HOSTS": ",".join(dict.fromkeys((*names, "localhost", "127.0.0.1"))),
            **audit.environment,
        },
        secrets=audit.secrets,
        probe=Probe("status", "/status", timeout_seconds=60),
        metrics=(Metrics("metrics"), Metrics("status", "/certificates")),
        unsaved=(".",),
    )


def _ports(spec: NginxSpec) -> tuple[Port, ...]:
    return (
        Port("https", spec.port, public=True),
        Port("status", spec.status_port),
        Port("metrics", spec.exporter_port),
    )


def configuration(spec: NginxSpec, target: KubernetesTarget) -> str:
    """Return nginx's configuration."""
    return render(
        "gateway",
        "nginx.conf",
        environment=target.environment,
        routes=ROUTES_FOLDER,
        audit=target.audit_port is not None,
        portal="portal" in target.blueprint.slots,
        **{**spec.model_dump(), "address": "$(LISTEN)"},
    )


def _exporter_command(spec: NginxSpec) -> tuple[str, ...]:
    return (
        "/usr/bin/nginx-prometheus-exporter",
        f"--nginx.scrape-uri=http://127.0.0.1:{spec.status_port}/status",
        f"--web.listen-address=$(LISTEN):{spec.exporter_port}",
    )
