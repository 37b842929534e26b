"""Prometheus with Alertmanager and node_exporter.

Provides metrics of every service (each brings its own scrape target), alert rules for services, requests, disks,
pipelines, and models, and the pages to query them behind the gateway. Leaves out dashboards and receivers outside
the host.

Upstream: https://prometheus.io/docs/, written for Prometheus 2.31 to 2.53 as Debian and Ubuntu ship them.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.gateway import GatewayOutputs
from components.monitoring import MonitoringOutputs
from terrace.targets.base import Service
from terrace.targets.host import HostTarget

RULES = Path(__file__).parent / "rules.yaml"


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
        metrics_url, alerts_url = f"{gateway.url}/prometheus/", f"{gateway.url}/alertmanager/"
        target.role(
            "prometheus",
            "prometheus",
            {
                "prometheus_port": spec.port,
                "prometheus_external_url": metrics_url,
                "alertmanager_port": spec.alertmanager_port,
                "alertmanager_external_url": alerts_url,
                "node_exporter_port": spec.node_exporter_port,
                "prometheus_retention_days": spec.retention_days,
                "prometheus_scrape_seconds": spec.scrape_seconds,
                "prometheus_rules": RULES.read_text(encoding="utf-8"),
            },
            parent=self,
        )
        for name, url, path, port in (
            ("prometheus", metrics_url, "/prometheus/-/healthy", spec.port),
            ("alertmanager", alerts_url, "/alertmanager/-/healthy", spec.alertmanager_port),
            ("node-exporter", metrics_url, "/metrics", spec.node_exporter_port),
        ):
            target.services.append(
                Service("monitoring", spec.flavor, name, url, f"http://127.0.0.1:{port}{path}", port)
            )
        return MonitoringOutputs(metrics_url, alerts_url)
