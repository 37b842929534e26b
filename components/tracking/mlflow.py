"""MLflow as the tracking server.

Provides runs, artifacts proxied by the server, and the model registry (slot ``registry`` names it), with MLflow's
own authentication on: an account for people, one for projects, one for serving. Leaves out permissions per
experiment, which people set in MLflow itself, and model formats that unpickle.

Upstream: https://mlflow.org/docs/latest/self-hosting/, written for MLflow 3.18.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.base import Account, Component, FlavorSpec, Inputs
from components.database import DatabaseAccess, DatabaseOutputs
from components.gateway import GatewayOutputs
from components.programs import program_files
from components.tracking import TrackingOutputs
from terrace.password import Password
from terrace.targets.base import Service
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, Route, SetupStep, Workload

ADMIN = "admin"
ACCOUNTS = (ADMIN, "projects", "serving")
PATH = "/mlflow/"


class MLflowSpec(FlavorSpec):
    """Options of the tracking server."""

    flavor: Literal["mlflow"] = "mlflow"
    port: int = Field(15000, ge=1024, le=65535, description="TCP port on loopback.")
    workers: int = Field(1, ge=1, le=16, description="Server processes; each takes about 0.5 GB.")
    memory_mb: int = Field(2048, ge=1024, description="Most memory (MiB) of one process.")
    upload_mb: int = Field(4096, ge=1, description="Largest artifact (MiB) that can be uploaded.")


class MLflow(Component[MLflowSpec, TrackingOutputs]):
    """An MLflow server."""

    token: ClassVar[str] = "terrace:tracking:MLflow"
    spec_type: ClassVar[type[FlavorSpec]] = MLflowSpec
    requires: ClassVar[tuple[str, ...]] = ("database", "artifact_store", "gateway")
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: MLflowSpec, inputs: Inputs) -> TrackingOutputs:
        """Run the server on two databases of its own, for its data and for its accounts."""
        gateway = inputs.of("gateway", GatewayOutputs)
        provision = inputs.of("database", DatabaseOutputs).provision
        data, accounts_data = provision("mlflow", self), provision("mlflow_accounts", self)
        store = inputs.of("artifact_store", ArtifactStoreOutputs).provision("mlflow", "mlflow", self)
        accounts = {name: Account(name, Password(f"mlflow-{name}", self).value) for name in ACCOUNTS}
        workload = self._workload(spec, gateway.address, store.folder)
        workload = self._with_secrets(workload, data, accounts_data, accounts)
        self.target.run(workload, self, after=[data.resource, accounts_data.resource, store.resource])
        public_url = gateway.url + PATH.rstrip("/")
        url = self.target.address(workload, "http")
        self.target.services.append(
            Service("tracking", spec.flavor, workload.name, public_url, f"{url}/health", spec.port)
        )
        return TrackingOutputs(url, public_url, gateway.ca_file, accounts)
