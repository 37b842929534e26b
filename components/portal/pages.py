"""The portal: pages made when the platform is, with health and plots asked live from the browser.

Provides one page at the gateway's ``/`` with services and their health, active alerts, plots of the main metrics, use
cases and their owners, runbooks, and the state of each practice. Leaves out everything that changes something.

Upstream: this project, ``components/portal/programs/portal.py``, on Python's own HTTP server (3.11 or later).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from components.base import Component, FlavorSpec, Inputs, ReplicatedSpec
from components.gateway import GatewayOutputs
from components.monitoring.parts import consoles, dashboards
from components.portal import PortalOutputs
from components.programs import program_files
from components.templates import render
from terrace import status
from terrace.explain import explain
from terrace.resolve import Blueprint
from terrace.targets.base import Service, Target
from terrace.tiers import TierTable
from terrace.workload import READING, Artifact, File, Metrics, Need, Port, Probe, Process, Route, Workload

NAME = "portal"
PATH = "/portal/"
NEEDS = (Need("read", READING),)
STATIC = Path(__file__).parent / "static"


class PagesSpec(ReplicatedSpec):
    """Options of the portal."""

    flavor: Literal["pages"] = "pages"
    port: int = Field(15070, ge=1024, le=65535, description="TCP port on loopback.")


class Pages(Component[PagesSpec, PortalOutputs]):
    """The portal's service."""

    token: ClassVar[str] = "terrace:portal:Pages"
    spec_type: ClassVar[type[FlavorSpec]] = PagesSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "monitoring")
    # All others, so that it comes last and knows every service.
    uses: ClassVar[tuple[str, ...]] = (
        "backup",
        "artifact_store",
        "audit",
        "data_quality",
        "data_versioning",
        "database",
        "drift",
        "feature_store",
        "pipelines",
        "registry",
        "serving",
        "tracking",
        "workbench",
    )
    connects: ClassVar[tuple[str, ...]] = ()  # it asks for everybody's health, and nothing else
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: PagesSpec, inputs: Inputs) -> PortalOutputs:
        """Run the portal; it shows itself, too."""
        url = inputs.of("gateway", GatewayOutputs).url + PATH
        health = f"http://{self.target.host_of(NAME)}:{spec.port}/health"
        self.target.services.append(Service("portal", spec.flavor, NAME, url, health, spec.port))
        self.target.run(_workload(spec, self.target), self)
        return PortalOutputs(url)


def _workload(spec: PagesSpec, target: Target) -> Workload:
    outputs = _outputs(target)
    return Workload(
        name=NAME,
        replicas=spec.replicas,
        artifact=Artifact(),
        processes=(Process("server", ("$(PYTHON)", "$(CONFIG)/portal.py"), memory_mb=256),),
        ports=(Port("http", spec.port),),
        files=(
            *program_files("portal", "portal.py"),
            File("status.py", Path(status.__file__).read_text(encoding="utf-8")),
            File("outputs.json", json.dumps(outputs)),
            File("site/index.html", _page(target.blueprint, outputs), live=True),
            File("site/style.css", consoles.asset("style.css")),
            File("site/charts.js", consoles.asset("charts.js")),
            File("site/portal.js", (STATIC / "portal.js").read_text(encoding="utf-8")),
        ),
        environment={
            "PORTAL_PORT": str(spec.port),
            "PORTAL_FOLDER": "$(CONFIG)",
            "PORTAL_ENVIRONMENT": target.environment,
            "PORTAL_CA_FILE": target.ca_file,
        },
        probe=Probe("http", "/health"),
        routes=(
            Route(PATH, "http", auth="gateway", slot="portal", needs=(Need("read", READING),), hidden=("metrics",)),
        ),
        metrics=(Metrics("http"),),
    )


def _outputs(target: Target) -> dict[str, Any]:
    """Return what `terrace.status` wants to know, in the form of stack outputs."""
    blueprint = target.blueprint
    # In a cluster its own name may lead nowhere from within its pod.
    services = [
        {**each, "probe_url": f"http://127.0.0.1:{each['probe_port']}/health"} if each["name"] == NAME else each
        for each in target.listed_services()
    ]
    return {"tier": blueprint.tier, "target": blueprint.target, "services": services}


def _page(blueprint: Blueprint, outputs: dict[str, Any]) -> str:
    table = TierTable.load()
    explanation = explain(blueprint, table)
    cells: dict[str, list[Any]] = {}
    for cell in explanation.cells:
        cells.setdefault(cell.title, []).append(cell)
    return render(
        "portal",
        "index.html",
        blueprint=blueprint,
        tier=table.tiers[blueprint.tier],
        services=outputs["services"],
        plots=consoles.plots(dashboards.load()["overview"], 3),
        api=consoles.API,
        alerts=consoles.alerts(),
        practices=cells,
        unheard=explanation.unheard,
        data=explanation.data,
        waivers=explanation.waivers,
    )
