"""Evidently as the watch over data and predictions.

Provides, for each model in production, a comparison of the kept predictions with the reference that its version was
registered with (the run's artifact ``reference.csv``: its inputs, and ``prediction``): what is missing, how far each
input and the predictions have drifted, as metrics and as a page to look at. Takes the true labels, whenever they come,
joins them with the predictions, and tells by the run's ``evaluation.csv`` (``prediction``, ``label``, ``happened``)
whether the model got worse or the season is another. Leaves out inputs that are masked, and text.

Upstream: https://docs.evidentlyai.com/, written for Evidently 0.7.23.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.database import DatabaseAccess
from components.drift import DriftOutputs
from components.gateway import GatewayOutputs
from components.programs import program_files
from components.registry import RegistryOutputs
from components.serving import ServingOutputs
from terrace.targets.base import Service
from terrace.workload import READING, Artifact, Metrics, Need, Port, Probe, Process, Route, Workload

PATH = "/drift/"
NEEDS = (Need("read", READING), Need("use", ("POST",), "labels"), Need("edit", ("POST",), "look"))


class EvidentlySpec(FlavorSpec):
    """Options of the watch."""

    flavor: Literal["evidently"] = "evidently"
    port: int = Field(18180, ge=1024, le=65535, description="TCP port of its reports and metrics, on loopback.")
    interval_minutes: int = Field(15, ge=1, le=1440, description="Time between two looks (minutes).")
    window_hours: int = Field(24, ge=1, le=24 * 90, description="How far back predictions are looked at (hours).")
    # Beside a reference of 5000 rows, a normal column that did not drift was 0.1 away in 71 % of samples of 100 rows,
    # in 8 % of samples of 400, and in 0.7 % of samples of 1000 (300 drawn of each).
    minimum_rows: int = Field(1000, ge=10, description="Fewer predictions than these are not compared.")
    column_distance: float = Field(
        0.1,
        gt=0,
        description="From which distance a column has drifted: Wasserstein's in standard deviations, or "
        "Jensen-Shannon's for categories.",
    )
    drift_share: float = Field(0.5, gt=0, le=1, description="The share of drifted inputs above which an alert is sent.")
    minimum_labels: int = Field(200, ge=30, description="Fewer labelled predictions than these are not judged.")
    # On flights of 2013, of samples of 1000 from one month none of 360 but one was called worse, and of samples whose
    # predictions were shuffled all (docs/adr/0021-late-labels.md).
    judged_labels: int = Field(1000, ge=30, description="How many of the latest labelled predictions alarms look at.")
    quality_drop: float = Field(
        0.03,
        gt=0,
        lt=1,
        description="How much worse than in the lowest window of its evaluation a model may rank (area under the ROC "
        "curve, rank correlation, or share of right classes); what three standard errors explain is let pass.",
    )
    outcome_shift: float = Field(
        0.05,
        gt=0,
        description="From which distance to the evaluation's, or to the predicted, mean outcome it is another season "
        "(a share; of numbers in standard deviations).",
    )
    label_window: Literal["day", "week", "month"] = Field(
        "month", description="The time that labelled predictions are put together by."
    )
    memory_mb: int = Field(2048, ge=1024, description="Most memory (MiB) of the process.")


class Evidently(Component[EvidentlySpec, DriftOutputs]):
    """A process that looks at kept predictions on a schedule."""

    token: ClassVar[str] = "terrace:drift:Evidently"
    spec_type: ClassVar[type[FlavorSpec]] = EvidentlySpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "registry", "serving")
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(lock="evidently", package="evidently")

    def build(self, spec: EvidentlySpec, inputs: Inputs) -> DriftOutputs:
        """Run the watch, where predictions are kept; without, it has nothing to look at and says so."""
        serving, registry = inputs.of("serving", ServingOutputs), inputs.of("registry", RegistryOutputs)
        workload = self._workload(spec, registry, serving)
        after = [serving.predictions.resource] if serving.predictions else []
        self.target.run(workload, self, after=after)
        url = inputs.of("gateway", GatewayOutputs).url + PATH
        probe = self.target.address(workload, "http") + "/health"
        self.target.services.append(Service("drift", spec.flavor, workload.name, url, probe, spec.port))
        return DriftOutputs(url)

    def _workload(self, spec: EvidentlySpec, registry: RegistryOutputs, serving: ServingOutputs) -> Workload:
        database, labels = serving.predictions, serving.labels
        return Workload(
            name="evidently",
            artifact=self.artifact,
            processes=(Process("watch", ("$(BIN)/python", "-m", "drift_watch"), spec.memory_mb),),
            ports=(Port("http", spec.port),),
            files=program_files("drift", "drift_watch"),
            environment={
                "PYTHONPATH": "$(CONFIG)",
                "HOME": "$(DATA)",
                "DO_NOT_TRACK": "1",
                "DRIFT_REGISTRY": registry.url,
                "DRIFT_REGISTRY_USER": registry.reader_account.user,
                "DRIFT_ALIAS": serving.alias,
                "DRIFT_REPORTS": "$(DATA)/reports",
                **_options(spec),
                **(_database(database) if database else {}),
                **({"DRIFT_LABELS_USER": labels.user} if labels else {}),
            },
            secrets={
                "DRIFT_REGISTRY_PASSWORD": registry.reader_account.password,
                **({"PGPASSWORD": database.password} if database else {}),
                **({"DRIFT_LABELS_PASSWORD": labels.password} if labels else {}),
            },
            probe=Probe("http", "/health", timeout_seconds=300),
            routes=(Route(PATH, "http", auth="gateway", slot="drift", needs=NEEDS, hidden=("metrics",)),),
            metrics=(Metrics("http"),),
        )


def _options(spec: EvidentlySpec) -> dict[str, str]:
    return {
        "DRIFT_PORT": str(spec.port),
        "DRIFT_INTERVAL": str(spec.interval_minutes * 60),
        "DRIFT_WINDOW_HOURS": str(spec.window_hours),
        "DRIFT_MINIMUM_ROWS": str(spec.minimum_rows),
        "DRIFT_COLUMN_DISTANCE": str(spec.column_distance),
        "DRIFT_SHARE": str(spec.drift_share),
        "DRIFT_MINIMUM_LABELS": str(spec.minimum_labels),
        "DRIFT_JUDGED_LABELS": str(spec.judged_labels),
        "DRIFT_QUALITY_DROP": str(spec.quality_drop),
        "DRIFT_OUTCOME_SHIFT": str(spec.outcome_shift),
        "DRIFT_LABEL_WINDOW": spec.label_window,
    }


def _database(database: DatabaseAccess) -> dict[str, str]:
    return {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGDATABASE": database.name,
        "PGUSER": database.user,
    }
