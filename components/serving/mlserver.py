"""MLServer with its MLflow runtime.

Provides the Open Inference Protocol v2 for the models whose version carries an alias in the registry, each with the
libraries of its own lock. Leaves out several replicas and a GPU.

Upstream: https://mlserver.readthedocs.io/, written for MLServer 1.7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.gateway import GatewayOutputs
from components.programs import lock_text, program_files
from components.registry import RegistryOutputs
from components.serving import ServingOutputs
from terrace.targets.base import Service
from terrace.workload import READING, Artifact, File, Metrics, Need, Port, Probe, Process, Route, Workload

PATH = "/serving/"
NEEDS = (Need("read", READING), Need("use", ("POST",)))
# What scikit-learn's gradient boosting needs; none of these runs code of the file's choice when it is loaded.
REVIEWED_TYPES = (
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
)


class MLServerSpec(FlavorSpec):
    """Options of the model server."""

    flavor: Literal["mlserver"] = "mlserver"
    port: int = Field(18080, ge=1024, le=65535, description="TCP port of the REST API, on loopback.")
    grpc_port: int = Field(18081, ge=1024, le=65535, description="TCP port of the gRPC API, on loopback.")
    metrics_port: int = Field(18082, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")
    sync_port: int = Field(18083, ge=1024, le=65535, description="TCP port of the deployer's metrics.")
    workers: int = Field(1, ge=1, le=64, description="Inference processes per environment.")
    memory_mb: int = Field(3072, ge=512, description="Most memory (MiB) of one process.")
    alias: str = Field(
        "production", pattern=r"^[a-z][a-z0-9_-]*$", description="The registry alias that deploys a version."
    )
    trusted_types: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)+$")], ...] = Field(
        REVIEWED_TYPES, description="Types that a served model may hold, beyond those that skops trusts itself."
    )
    interval_seconds: int = Field(5, ge=1, le=600, description="How often the registry is asked (seconds).")


class MLServer(Component[MLServerSpec, ServingOutputs]):
    """A model server and the program that deploys into it."""

    token: ClassVar[str] = "terrace:serving:MLServer"
    spec_type: ClassVar[type[FlavorSpec]] = MLServerSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "registry")
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: MLServerSpec, inputs: Inputs) -> ServingOutputs:
        """Run the server, empty at first; models come from the registry."""
        workload = self._workload(spec, inputs.of("registry", RegistryOutputs), inputs.owners)
        self.target.run(workload, self)
        url = inputs.of("gateway", GatewayOutputs).url + PATH
        self.target.services.append(
            Service(
                "serving",
                spec.flavor,
                workload.name,
                url,
                self.target.address(workload, "http") + "/v2/health/live",
                spec.port,
            )
        )
        return ServingOutputs(url)

    def _workload(
        self, spec: MLServerSpec, registry: RegistryOutputs, owners: Mapping[str, tuple[str, str]]
    ) -> Workload:
        return Workload(
            name="mlserver",
            artifact=Artifact(lock="mlserver"),
            processes=(
                Process("server", ("$(BIN)/mlserver", "start", "$(DATA)/models"), spec.memory_mb, stop_seconds=30),
                Process("sync", ("$(BIN)/python", "-m", "model_sync"), spec.memory_mb),
            ),
            ports=(
                Port("http", spec.port),
                Port("grpc", spec.grpc_port),
                Port("metrics", spec.metrics_port),
                Port("sync", spec.sync_port),
            ),
            files=(
                File("requirements.txt", lock_text("mlserver")),
                File("owners.json", json.dumps(owners), live=True),
                *program_files("serving", "model_sync"),
            ),
            environment={
                "PYTHONPATH": "$(CONFIG)",
                "HOME": "$(DATA)",
                "MLFLOW_TRACKING_URI": registry.url,
                "MLFLOW_TRACKING_USERNAME": registry.serving_account.user,
                # MLflow asks for this even for skops; the deployer has reviewed every model that gets here.
                "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
                "MLFLOW_DISABLE_TELEMETRY": "true",
                **_server_settings(spec),
                **_sync_settings(spec),
            },
            secrets={"MLFLOW_TRACKING_PASSWORD": registry.serving_account.password},
            probe=Probe("http", "/v2/health/live"),
            routes=(Route(PATH, "http", auth="gateway", slot="serving", needs=NEEDS, hidden=("v2/repository",)),),
            metrics=(Metrics("metrics"), Metrics("sync")),
            downloads=True,
            unsaved=(".",),  # models come from the registry
        )


def _server_settings(spec: MLServerSpec) -> dict[str, str]:
    return {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(spec.port),
        "MLSERVER_GRPC_PORT": str(spec.grpc_port),
        "MLSERVER_METRICS_PORT": str(spec.metrics_port),
        "MLSERVER_PARALLEL_WORKERS": str(spec.workers),
        # The deployer loads them, in the right order; a broken model would stop the server at its start.
        "MLSERVER_LOAD_MODELS_AT_STARTUP": "false",
        "MLSERVER_DEBUG": "false",
        "MLSERVER_ENVIRONMENTS_DIR": "$(DATA)/mlserver/environments",
        "MLSERVER_METRICS_DIR": "$(DATA)/mlserver/metrics",
    }


def _sync_settings(spec: MLServerSpec) -> dict[str, str]:
    return {
        "MODEL_SYNC_ALIAS": spec.alias,
        "MODEL_SYNC_INTERVAL": str(spec.interval_seconds),
        "MODEL_SYNC_TRUSTED_TYPES": ",".join(spec.trusted_types),
        "MODEL_SYNC_DATA": "$(DATA)",
        "MODEL_SYNC_LOCK": "$(CONFIG)/requirements.txt",
        "MODEL_SYNC_OWNERS": "$(CONFIG)/owners.json",
        "MODEL_SYNC_PORT": str(spec.sync_port),
        "MLSERVER_URL": f"http://127.0.0.1:{spec.port}",
    }
