"""MLServer with its MLflow runtime.

Provides the Open Inference Protocol v2 for the models whose version carries an alias in the registry, each with the
libraries of its own lock: the version in production under the model's name, and the one beside it as
``<model>:candidate``. Keeps every served prediction in a database of its own, with inputs masked by class of data.
Leaves out several replicas and a GPU.

Upstream: https://mlserver.readthedocs.io/, written for MLServer 1.7.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import pulumi
from pydantic import Field

from components.audit import AuditOutputs
from components.base import Component, FlavorSpec, Inputs
from components.database import DatabaseAccess, DatabaseOutputs
from components.gateway import GatewayOutputs
from components.programs import lock_text, program_files
from components.registry import RegistryOutputs
from components.serving import ServingOutputs
from components.templates import render
from terrace.password import Password
from terrace.targets.base import Service
from terrace.workload import READING, Act, Artifact, File, Metrics, Need, Port, Probe, Process, Route, Workload

PATH = "/serving/"
NEEDS = (Need("read", READING), Need("use", ("POST",)))
ACTS = (Act(rf"POST {PATH}v2/models/([^/]+).*/infer", "predict"),)
# The machine's alone, and MLflow's own way to ask, which would neither be kept nor name a version.
HIDDEN = ("v2/repository", "invocations")
NAME = "mlserver"
ROUTE = Route(PATH, "http", "gateway", "serving", NEEDS, hidden=HIDDEN, reads=True, acts=ACTS)
WRITER, READER, LABELLER = "predictions_writer", "predictions_reader", "predictions_labeller"
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
    candidate_alias: str = Field(
        "candidate",
        pattern=r"^[a-z][a-z0-9_-]*$",
        description="The registry alias of the version that is served beside it, as <model>:candidate.",
    )
    trusted_types: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.\w+)+$")], ...] = Field(
        REVIEWED_TYPES, description="Types that a served model may hold, beyond those that skops trusts itself."
    )
    keeper_port: int = Field(18084, ge=1024, le=65535, description="TCP port of the predictions' metrics.")
    predictions_days: int = Field(
        30, ge=0, le=3650, description="How long served predictions are kept (days); 0 keeps none."
    )
    volume_gb: int = Field(20, ge=1, description="Size (GiB) of its volume, on Kubernetes.")
    interval_seconds: int = Field(5, ge=1, le=600, description="How often the registry is asked (seconds).")


class MLServer(Component[MLServerSpec, ServingOutputs]):
    """A model server and the program that deploys into it."""

    token: ClassVar[str] = "terrace:serving:MLServer"
    spec_type: ClassVar[type[FlavorSpec]] = MLServerSpec
    requires: ClassVar[tuple[str, ...]] = ("database", "gateway", "registry")
    uses: ClassVar[tuple[str, ...]] = ("audit",)
    tells_audit: ClassVar[str] = NAME
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(lock="mlserver", package="mlserver")

    def build(self, spec: MLServerSpec, inputs: Inputs) -> ServingOutputs:
        """Run the server, empty at first; models come from the registry."""
        predictions = self._predictions(spec, inputs.of("database", DatabaseOutputs)) if spec.predictions_days else None
        keeping = self._keeping(spec, predictions.accounts[WRITER]) if predictions else _Keeping()
        audit = inputs.optional("audit", AuditOutputs)
        workload = self._workload(spec, inputs.of("registry", RegistryOutputs), inputs.owners, keeping, audit)
        self.target.run(workload, self, after=[predictions.resource] if predictions else [])
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
        accounts = predictions.accounts if predictions else {}
        return ServingOutputs(url, spec.alias, spec.candidate_alias, accounts.get(READER), accounts.get(LABELLER))

    def _predictions(self, spec: MLServerSpec, database: DatabaseOutputs) -> DatabaseAccess:
        roles = {"writer": WRITER, "reader": READER, "labeller": LABELLER}
        schema = render("serving", "predictions.sql", days=spec.predictions_days, **roles)
        return database.provision("predictions", self, tuple(roles.values()), schema)

    def _workload(
        self,
        spec: MLServerSpec,
        registry: RegistryOutputs,
        owners: Mapping[str, tuple[str, str]],
        keeping: _Keeping,
        audit: AuditOutputs | None,
    ) -> Workload:
        token = self.target.audit_token(NAME) if audit else None
        shown = {"MODEL_SYNC_AUDIT_TOKEN": token} if token else {}
        return Workload(
            name=NAME,
            artifact=self.artifact,
            processes=(
                self._server(spec),
                Process("sync", ("$(BIN)/python", "-m", "model_sync"), spec.memory_mb),
                *keeping.processes,
            ),
            ports=(*_ports(spec), *keeping.ports),
            files=(
                File("requirements.txt", lock_text("mlserver")),
                File("owners.json", json.dumps(owners), live=True),
                *keeping.files,
                *program_files("serving", "model_sync"),
            ),
            environment={
                **_registry_settings(registry),
                **_server_settings(spec),
                **_sync_settings(spec),
                **({"MODEL_SYNC_AUDIT": f"http://{audit.host}:{audit.port}"} if audit else {}),
                **keeping.environment,
            },
            secrets={"MLFLOW_TRACKING_PASSWORD": registry.serving_account.password, **shown, **keeping.secrets},
            probe=Probe("http", "/v2/health/live"),
            routes=(ROUTE,),
            metrics=(Metrics("metrics"), Metrics("sync"), *keeping.metrics),
            downloads=True,
            unsaved=(".",),  # models come from the registry
            volume_gb=spec.volume_gb,  # predictions that the database hasn't got yet do not
        )

    def _server(self, spec: MLServerSpec) -> Process:
        command = ("$(BIN)/mlserver", "start", "$(DATA)/models")
        return Process("server", command, spec.memory_mb, stop_seconds=30, copies=spec.workers, computes=True)

    def _keeping(self, spec: MLServerSpec, writer: DatabaseAccess) -> _Keeping:
        return _Keeping(
            processes=(Process("keeper", ("$(BIN)/python", "-m", "model_sync.keep"), memory_mb=512),),
            ports=(Port("keeper", spec.keeper_port),),
            files=(File("masks.json", json.dumps(self.target.input_classes, indent=1, sort_keys=True)),),
            environment={
                "PREDICTIONS_SPOOL": "$(DATA)/predictions",
                "PREDICTIONS_MASKS": "$(CONFIG)/masks.json",
                "PREDICTIONS_PORT": str(spec.keeper_port),
                "PGHOST": writer.host,
                "PGPORT": str(writer.port),
                "PGDATABASE": writer.name,
                "PGUSER": writer.user,
            },
            secrets={
                "PGPASSWORD": writer.password,
                "PREDICTIONS_KEY": Password("predictions-key", self).value,
            },
            metrics=(Metrics("keeper"),),
        )


@dataclass(frozen=True)
class _Keeping:
    """What the workload has more where predictions are kept."""

    processes: tuple[Process, ...] = ()
    ports: tuple[Port, ...] = ()
    files: tuple[File, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    metrics: tuple[Metrics, ...] = ()


def _ports(spec: MLServerSpec) -> tuple[Port, ...]:
    numbers = {"http": spec.port, "grpc": spec.grpc_port, "metrics": spec.metrics_port, "sync": spec.sync_port}
    return tuple(Port(name, number) for name, number in numbers.items())


def _registry_settings(registry: RegistryOutputs) -> dict[str, str]:
    return {
        "PYTHONPATH": "$(CONFIG)",
        "HOME": "$(DATA)",
        "MLFLOW_TRACKING_URI": registry.url,
        "MLFLOW_TRACKING_USERNAME": registry.serving_account.user,
        # MLflow asks for this even for skops; the deployer has reviewed every model that gets here.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def _server_settings(spec: MLServerSpec) -> dict[str, str]:
    return {
        "MLSERVER_HOST": "$(LISTEN)",
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
        "MODEL_SYNC_CANDIDATE": spec.candidate_alias,
        "MODEL_SYNC_INTERVAL": str(spec.interval_seconds),
        "MODEL_SYNC_TRUSTED_TYPES": ",".join(spec.trusted_types),
        "MODEL_SYNC_DATA": "$(DATA)",
        "MODEL_SYNC_LOCK": "$(CONFIG)/requirements.txt",
        "MODEL_SYNC_OWNERS": "$(CONFIG)/owners.json",
        "MODEL_SYNC_PORT": str(spec.sync_port),
        "MLSERVER_URL": f"http://127.0.0.1:{spec.port}",
    }
