"""Feast as the feature store.

Provides a registry, an offline store, and an online store in one PostgreSQL database, each in a schema of its own,
and Feast's feature server for online lookups. Projects apply their feature definitions to Feast's project that
the option ``project`` names. Leaves out on-demand transformations in the server and a feature store per team.

Upstream: https://docs.feast.dev/, written for Feast 0.67.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.base import Component, FlavorSpec, Inputs, ReplicatedSpec
from components.database import DatabaseAccess, DatabaseOutputs
from components.feature_store import FeatureStoreOutputs
from components.gateway import GatewayOutputs
from components.programs import program_files
from components.templates import render
from terrace.targets.base import Service
from terrace.workload import (
    READING,
    Act,
    Artifact,
    File,
    Metrics,
    Need,
    Port,
    Probe,
    Process,
    Route,
    SetupStep,
    Workload,
)

PATH = "/feast/"
NEEDS = (Need("read", READING), Need("read", ("POST",), "get-online-features"), Need("edit", ("POST",)))
ACTS = (
    Act(rf"POST {PATH}(get-online-features)", "read_features"),
    Act(rf"POST {PATH}(push|write-to-online-store|materialize.*)", "write_features"),
)


class FeastSpec(ReplicatedSpec):
    """Options of the feature store."""

    flavor: Literal["feast"] = "feast"
    port: int = Field(16566, ge=1024, le=65535, description="TCP port of the feature server.")
    metrics_port: int = Field(16567, ge=1024, le=65535, description="TCP port of its metrics.")
    project: str = Field(
        "terrace", pattern=r"^[a-z][a-z0-9_]*$", description="The Feast project that the server serves."
    )
    cache_seconds: int = Field(5, ge=1, le=3600, description="How soon new feature definitions are seen (seconds).")
    memory_mb: int = Field(1024, ge=512, description="Most memory (MiB) of the server.")


class Feast(Component[FeastSpec, FeatureStoreOutputs]):
    """A Feast registry, its stores, and its feature server."""

    token: ClassVar[str] = "terrace:feature_store:Feast"
    spec_type: ClassVar[type[FlavorSpec]] = FeastSpec
    requires: ClassVar[tuple[str, ...]] = ("database", "gateway")
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(lock="feast", package="feast")

    def build(self, spec: FeastSpec, inputs: Inputs) -> FeatureStoreOutputs:
        """Run the feature server on a database of its own."""
        database = inputs.of("database", DatabaseOutputs).provision("feast", self)
        workload = self._workload(spec, _store(spec, database))
        self.target.run(workload, self, after=[database.resource])
        url = inputs.of("gateway", GatewayOutputs).url + PATH
        self.target.services.append(
            Service(
                "feature_store",
                spec.flavor,
                workload.name,
                url,
                self.target.address(workload, "http") + "/health",
                spec.port,
            )
        )
        return FeatureStoreOutputs(url, spec.project, database)

    def _workload(self, spec: FeastSpec, store: pulumi.Input[str]) -> Workload:
        python = "$(BIN)/python"
        serve = (python, "$(CONFIG)/feast_server.py", "serve", "--host", "$(LISTEN)", "--port", str(spec.port))
        options = ("--workers", "1", "--registry_ttl_sec", str(spec.cache_seconds), "--max-requests", "0")
        return Workload(
            name="feast",
            replicas=spec.replicas,
            artifact=self.artifact,
            setup=(SetupStep("schemas", (python, "$(CONFIG)/feast_schemas.py")),),
            processes=(Process("server", (*serve, *options, "--metrics", "--no-access-log"), spec.memory_mb),),
            ports=(Port("http", spec.port), Port("metrics", spec.metrics_port)),
            files=(
                File("feature_store.yaml", store),
                *program_files("feature_store", "feast_schemas.py"),
                *program_files("feature_store", "feast_server.py"),
                *program_files("feature_store", "patient_timer.py"),
            ),
            environment={
                "HOME": "$(DATA)",
                "FEAST_USAGE": "False",
                "FEAST_FS_YAML_FILE_PATH": "$(CONFIG)/feature_store.yaml",
                "FEAST_METRICS_PORT": str(spec.metrics_port),
            },
            probe=Probe("http", "/health"),
            routes=(Route(PATH, "http", auth="gateway", slot="feature_store", needs=NEEDS, reads=True, acts=ACTS),),
            metrics=(Metrics("metrics"),),
            unsaved=(".",),  # what it keeps lies in the database
        )


def _store(spec: FeastSpec, database: DatabaseAccess) -> pulumi.Output[str]:
    """Return ``feature_store.yaml``, a secret: Feast takes the password from nowhere else."""

    def fill(values: list[str]) -> str:
        registry_url, password = values
        return render(
            "feature_store",
            "feature_store.yaml",
            project=spec.project,
            cache_seconds=spec.cache_seconds,
            registry_url=registry_url,
            password=password,
            database=database,
        )

    return pulumi.Output.all(database.url("postgresql+psycopg"), database.password).apply(fill)
