"""Prometheus with Alertmanager and node_exporter.

Provides metrics of every service (each brings its own scrape target), alert rules for services, requests, disks,
pipelines, and models, dashboards and runbooks as console pages behind the gateway, and notices of alerts by mail,
webhook, and chat. Leaves out shifts and escalation between people.

Upstream: https://prometheus.io/docs/, written for Prometheus 2.31 to 2.53 as Debian and Ubuntu ship them.
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
from terrace.targets.base import Service
from terrace.targets.host import HostTarget
from terrace.workload import Act, Artifact, File, Metrics, Need, Port, Probe, Process, Route, SetupStep, Workload

RULES = Path(__file__).parent / "rules.yaml"
METRICS, ALERTS = "/prometheus/", "/alertmanager/"
ROUTES = (
    # Prometheus answers queries by POST too; what changes it is switched off.
    Route(
        METRICS,
        "prometheus",
        "gateway",
        "monitoring",
        (Need("read"),),
        keep_path=True,
        acts=(Act(f"POST {METRICS}.*", "read"),),
    ),
    Route(
        ALERTS,
        "alertmanager",
        "gateway",
        "monitoring",
        keep_path=True,
        acts=(Act(f"(?:POST|DELETE) {ALERTS}(api/v2/silences?.*)", "silence_alert"),),
    ),
)


class PrometheusSpec(FlavorSpec):
    """Options of monitoring."""

    flavor: Literal["prometheus"] = "prometheus"
    port: int = Field(19090, ge=1024, le=65535, description="TCP port of Prometheus, on loopback.")
    alertmanager_port: int = Field(19093, ge=1024, le=65535, description="TCP port of Alertmanager.")
    node_exporter_port: int = Field(19100, ge=1024, le=65535, description="TCP port of node_exporter.")
    retention_days: int = Field(30, ge=1, le=3650, description="How long metrics are kept (days).")
    scrape_seconds: int = Field(15, ge=1, le=300, description="Time between two scrapes (seconds).")


class Prometheus(Component[PrometheusSpec, MonitoringOutputs]):
    """Prometheus, Alertmanager, and node_exporter."""

    token: ClassVar[str] = "terrace:monitoring:Prometheus"
    spec_type: ClassVar[type[FlavorSpec]] = PrometheusSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway",)
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: PrometheusSpec, inputs: Inputs) -> MonitoringOutputs:
        """Run the three; services bring their scrape targets themselves."""
        target = self.on(HostTarget)
        gateway = inputs.of("gateway", GatewayOutputs)
        metrics_url, alerts_url = gateway.url + METRICS, gateway.url + ALERTS
        target.run(_workload(spec, target, metrics_url, alerts_url), self)
        for name, url, path, port in (
            ("prometheus", metrics_url, "/prometheus/-/healthy", spec.port),
            ("alertmanager", alerts_url, "/alertmanager/-/healthy", spec.alertmanager_port),
            ("node-exporter", metrics_url, "/metrics", spec.node_exporter_port),
        ):
            target.services.append(
                Service("monitoring", spec.flavor, name, url, f"http://127.0.0.1:{port}{path}", port)
            )
        return MonitoringOutputs(metrics_url, alerts_url)


def _workload(spec: PrometheusSpec, target: HostTarget, metrics_url: str, alerts_url: str) -> Workload:
    return Workload(
        name="prometheus",
        artifact=Artifact(packages=("prometheus", "prometheus-alertmanager", "prometheus-node-exporter")),
        setup=(
            SetupStep("rules", ("/usr/bin/promtool", "check", "config", "$(CONFIG)/prometheus.yml")),
            SetupStep("notices", ("/usr/bin/amtool", "check-config", "$(CONFIG)/alertmanager.yml")),
        ),
        processes=(
            Process("server", _prometheus_command(spec, metrics_url), memory_mb=2048),
            Process("alertmanager", _alertmanager_command(spec, alerts_url), memory_mb=512),
            Process("node-exporter", _node_exporter_command(spec), memory_mb=256),
        ),
        ports=(
            Port("prometheus", spec.port),
            Port("alertmanager", spec.alertmanager_port),
            Port("node-exporter", spec.node_exporter_port),
        ),
        files=(
            File("prometheus.yml", _configuration(spec, target)),
            File("rules.yaml", RULES.read_text(encoding="utf-8")),
            *notices.files(target.blueprint.spec.notify),
            *consoles.files(),
        ),
        probe=Probe("prometheus", "/prometheus/-/ready"),
        routes=ROUTES,
        metrics=(
            Metrics("prometheus", "/prometheus/metrics"),
            Metrics("alertmanager", "/alertmanager/metrics"),
            Metrics("node-exporter"),
        ),
        unsaved=(".",),  # the past isn't worth a copy; alerts come again
    )


def _configuration(spec: PrometheusSpec, target: HostTarget) -> str:
    return render("monitoring", "prometheus.yml", targets=target.scrape_folder, **spec.model_dump())


def _prometheus_command(spec: PrometheusSpec, external_url: str) -> tuple[str, ...]:
    return (
        "/usr/bin/prometheus",
        "--config.file=$(CONFIG)/prometheus.yml",
        "--storage.tsdb.path=$(DATA)/metrics",
        f"--storage.tsdb.retention.time={spec.retention_days}d",
        f"--web.listen-address=127.0.0.1:{spec.port}",
        f"--web.external-url={external_url}",
        "--web.route-prefix=/prometheus",
        "--web.console.templates=$(CONFIG)/consoles",
        "--web.console.libraries=$(CONFIG)/consoles",
    )


def _alertmanager_command(spec: PrometheusSpec, external_url: str) -> tuple[str, ...]:
    return (
        "/usr/bin/prometheus-alertmanager",
        "--config.file=$(CONFIG)/alertmanager.yml",
        "--storage.path=$(DATA)/alerts",
        f"--web.listen-address=127.0.0.1:{spec.alertmanager_port}",
        f"--web.external-url={external_url}",
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
