"""Prometheus with Alertmanager and node_exporter.

Provides metrics of every service (each brings its own scrape target), alert rules for services, requests, disks,
pipelines, and models, dashboards and runbooks as console pages behind the gateway, and notices of alerts by mail,
webhook, and chat. Leaves out shifts and escalation between people; on Kubernetes also the machines, which pods of this
namespace may not look at.

Upstream: https://prometheus.io/docs/, written for Prometheus 2.31 to 2.53 as Debian and Ubuntu ship them, and for 3 in
a pod.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.gateway import GatewayOutputs
from components.monitoring import MonitoringOutputs
from components.monitoring.parts import consoles, notices
from components.templates import render
from terrace.targets.base import Service, Target
from terrace.targets.host import HostTarget
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Act, Artifact, File, Metrics, Need, Port, Probe, Process, Route, SetupStep, Workload

RULES = Path(__file__).parent / "rules.yaml"
METRICS_PATH, ALERTS_PATH = "/prometheus/", "/alertmanager/"
ALERTS = "alertmanager"  # its image
SCRAPES, JOBS = "scrapes.json", "scrapes-of-pods.yml"
PROBE = Probe("prometheus", "/prometheus/-/ready")
METRICS = (Metrics("prometheus", "/prometheus/metrics"), Metrics("alertmanager", "/alertmanager/metrics"))
ROUTES = (
    # Prometheus answers queries by POST too; what changes it is switched off.
    Route(
        METRICS_PATH,
        "prometheus",
        "gateway",
        "monitoring",
        (Need("read"),),
        keep_path=True,
        acts=(Act(f"POST {METRICS_PATH}.*", "read"),),
    ),
    Route(
        ALERTS_PATH,
        "alertmanager",
        "gateway",
        "monitoring",
        keep_path=True,
        acts=(Act(f"(?:POST|DELETE) {ALERTS_PATH}(api/v2/silences?.*)", "silence_alert"),),
    ),
)


class PrometheusSpec(FlavorSpec):
    """Options of monitoring."""

    flavor: Literal["prometheus"] = "prometheus"
    port: int = Field(19090, ge=1024, le=65535, description="TCP port of Prometheus, on loopback.")
    alertmanager_port: int = Field(19093, ge=1024, le=65535, description="TCP port of Alertmanager.")
    node_exporter_port: int = Field(19100, ge=1024, le=65535, description="TCP port of node_exporter.")
    retention_days: int = Field(30, ge=1, le=3650, description="How long metrics are kept (days).")
    volume_gb: int = Field(20, ge=1, description="Size (GiB) of its volume, on Kubernetes.")
    scrape_seconds: int = Field(15, ge=1, le=300, description="Time between two scrapes (seconds).")


class Prometheus(Component[PrometheusSpec, MonitoringOutputs]):
    """Prometheus, Alertmanager, and node_exporter."""

    token: ClassVar[str] = "terrace:monitoring:Prometheus"
    spec_type: ClassVar[type[FlavorSpec]] = PrometheusSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway",)
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: PrometheusSpec, inputs: Inputs) -> MonitoringOutputs:
        """Run the three; services bring their scrape targets themselves."""
        gateway = inputs.of("gateway", GatewayOutputs)
        outputs = MonitoringOutputs(gateway.url + METRICS_PATH, gateway.url + ALERTS_PATH)
        workload = self._workload(spec, outputs)
        self.target.run(workload, self)
        host = self.target.host_of(workload.name)
        for name, url, path, port in (
            ("prometheus", outputs.metrics_url, "/prometheus/-/healthy", spec.port),
            ("alertmanager", outputs.alerts_url, "/alertmanager/-/healthy", spec.alertmanager_port),
            ("node-exporter", outputs.metrics_url, "/metrics", spec.node_exporter_port),
        ):
            if port in (each.number for each in workload.ports):
                service = Service("monitoring", spec.flavor, name, url, f"http://{host}:{port}{path}", port)
                self.target.services.append(service)
        return outputs

    def _workload(self, spec: PrometheusSpec, outputs: MonitoringOutputs) -> Workload:
        if isinstance(self.target, HostTarget):
            return _on_host(spec, self.target, outputs)
        return _on_kubernetes(spec, self.on(KubernetesTarget), outputs)


def _on_host(spec: PrometheusSpec, target: HostTarget, outputs: MonitoringOutputs) -> Workload:
    """Return the three as one service of the distribution's programs."""
    return Workload(
        name="prometheus",
        artifact=Artifact(packages=("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")),
        setup=_checks("/usr/bin"),
        processes=(
            Process("server", ("/usr/bin/prometheus", *_prometheus_options(spec, outputs.metrics_url)), 2048),
            Process("alertmanager", ("/usr/bin/prometheus-alertmanager", *_alertmanager_options(spec, outputs)), 512),
            Process("node-exporter", _node_exporter_command(spec), memory_mb=256),
        ),
        ports=(*_ports(spec), Port("node-exporter", spec.node_exporter_port)),
        files=_files(spec, target, scrapes=f"{target.scrape_folder}/*.json"),
        probe=PROBE,
        routes=ROUTES,
        metrics=(*METRICS, Metrics("node-exporter")),
        unsaved=(".",),  # the past isn't worth a copy; alerts come again
    )


def _on_kubernetes(spec: PrometheusSpec, target: KubernetesTarget, outputs: MonitoringOutputs) -> Workload:
    """Return Prometheus and Alertmanager in one pod; targets of all services are among the files."""
    return Workload(
        name="prometheus",
        artifact=Artifact(image="prometheus"),
        setup=_checks("/bin"),
        processes=(
            Process("server", ("/bin/prometheus", *_prometheus_options(spec, outputs.metrics_url)), 2048),
            Process("alertmanager", ("/bin/alertmanager", *_alertmanager_options(spec, outputs)), 512, image=ALERTS),
        ),
        ports=_ports(spec),
        files=(
            *_files(spec, target, scrapes=f"$(CONFIG)/{SCRAPES}", jobs=f"$(CONFIG)/{JOBS}"),
            *target.scrape_files(SCRAPES, JOBS),
        ),
        probe=PROBE,
        routes=ROUTES,
        metrics=METRICS,
        unsaved=(".",),  # as on a host
        volume_gb=spec.volume_gb,
    )


def _checks(folder: str) -> tuple[SetupStep, ...]:
    return (
        SetupStep("rules", (f"{folder}/promtool", "check", "config", "$(CONFIG)/prometheus.yml")),
        SetupStep("notices", (f"{folder}/amtool", "check-config", "$(CONFIG)/alertmanager.yml"), image=ALERTS),
    )


def _ports(spec: PrometheusSpec) -> tuple[Port, ...]:
    return (Port("prometheus", spec.port), Port("alertmanager", spec.alertmanager_port))


def _files(spec: PrometheusSpec, target: Target, **places: str) -> tuple[File, ...]:
    return (
        File("prometheus.yml", render("monitoring", "prometheus.yml", **places, **spec.model_dump())),
        File("rules.yaml", RULES.read_text(encoding="utf-8")),
        *notices.files(target.blueprint.spec.notify),
        *consoles.files(),
    )


def _prometheus_options(spec: PrometheusSpec, external_url: str) -> tuple[str, ...]:
    return (
        "--config.file=$(CONFIG)/prometheus.yml",
        "--storage.tsdb.path=$(DATA)/metrics",
        f"--storage.tsdb.retention.time={spec.retention_days}d",
        f"--web.listen-address=$(LISTEN):{spec.port}",
        f"--web.external-url={external_url}",
        "--web.route-prefix=/prometheus",
        "--web.console.templates=$(CONFIG)/consoles",
        "--web.console.libraries=$(CONFIG)/consoles",
    )


def _alertmanager_options(spec: PrometheusSpec, outputs: MonitoringOutputs) -> tuple[str, ...]:
    return (
        "--config.file=$(CONFIG)/alertmanager.yml",
        "--storage.path=$(DATA)/alerts",
        f"--web.listen-address=$(LISTEN):{spec.alertmanager_port}",
        f"--web.external-url={outputs.alerts_url}",
        "--web.route-prefix=/alertmanager",
        "--cluster.listen-address=",
    )


def _node_exporter_command(spec: PrometheusSpec) -> tuple[str, ...]:
    return (
        "/usr/bin/prometheus-node-exporter",
        f"--web.listen-address=127.0.0.1:{spec.node_exporter_port}",
        # Debian's own leaves out /mnt and /media, where disks for artifacts and backups are.
        "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys|var/lib/docker|var/lib/containers)/",
    )
