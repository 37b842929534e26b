"""MLflow as the tracking server.

Provides runs, artifacts proxied by the server, and the model registry (slot ``registry`` names it), with MLflow's
own authentication on: an account for each person of the team with the rights of their roles, and accounts for
administrators, projects, serving, and what only reads. What people delete can be brought back for a time, and is then
removed for good with its artifacts, but for what a registered version came from; in an S3 store it stays so far. Leaves
out rights in single experiments and models, which their makers give in MLflow itself, and model formats that unpickle.

Upstream: https://mlflow.org/docs/latest/self-hosting/, written for MLflow 3.17.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.audit import AuditOutputs
from components.base import Account, Component, FlavorSpec, Inputs, PersonAccount, ReplicatedSpec
from components.database import DatabaseAccess, DatabaseOutputs
from components.gateway import GatewayOutputs
from components.programs import program_files
from components.tracking import TrackingOutputs
from terrace.password import Password
from terrace.targets.base import Service
from terrace.workload import Act, Artifact, File, Metrics, Port, Probe, Process, Route, SetupStep, Workload

ADMIN = "admin"
SERVING = "serving"
READER = "reader"
ACCOUNTS = (ADMIN, "projects", SERVING, READER)  # administrators, pipelines and notebooks, serving, what only looks
PATH = "/mlflow/"
MODELS = rf"{PATH}.*(?:registered-models|model-versions)/"
ACTS = (
    # What MLflow answers without an account, whose name could be anybody's.
    Act(rf"[A-Z]+ {PATH}(?:(?:health|static|favicon\.ico).*|version|metrics|manifest\.json)", ""),
    Act(rf"[A-Z]+ {PATH}(?:ajax-)?api/3\.0/mlflow/server-info", ""),
    Act(rf"(?:GET|HEAD) {MODELS}(get-artifact)", "read_artifact", "registry"),
    Act(rf"(?:(?:GET|HEAD|OPTIONS) {MODELS}.*|POST {MODELS}(?:search|get-[\w-]+))", "read", "registry"),
    Act(rf"([A-Z]+ {MODELS}.*)", "change", "registry"),
    Act(rf"(?:GET|HEAD) {PATH}(?:.*/)?(?:mlflow-artifacts/artifacts|get-artifact)/?(.*)", "read_artifact"),
    Act(rf"[A-Z]+ {PATH}(?:.*/)?mlflow-artifacts/(.*)", "change_artifact"),
    # MLflow searches by POST.
    Act(rf"POST {PATH}(?:.*/)?(?:search|search-[\w-]+|get-[\w-]+|graphql)", "read"),
)
# What accounts of services may do with everybody's; what they make themselves is their own to manage.
READS = {"experiment": "READ", "registered_model": "READ", "prompt": "READ"}
GRANTS: dict[str, dict[str, str]] = {
    ADMIN: {},
    "projects": READS,
    SERVING: {**READS, "registered_model": "EDIT"},
    READER: READS,
}  # serving notes models' state
HASH_ROUNDS = 1000
PROGRAMS = ("mlflow_accounts.py", "mlflow_people.py", "mlflow_rights.py", "mlflow_metrics.py", "mlflow_cleanup")
SETUP = (
    SetupStep("databases-and-accounts", ("$(BIN)/python", "$(CONFIG)/mlflow_accounts.py")),
    SetupStep("people", ("$(BIN)/python", "$(CONFIG)/mlflow_people.py", "$(CONFIG)/people.json"), live=True),
)


class MLflowSpec(ReplicatedSpec):
    """Options of the tracking server."""

    flavor: Literal["mlflow"] = "mlflow"
    port: int = Field(15000, ge=1024, le=65535, description="TCP port on loopback.")
    metrics_port: int = Field(15001, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")
    workers: int = Field(1, ge=1, le=16, description="Server processes; each takes about 0.5 GB.")
    memory_mb: int = Field(2048, ge=1024, description="Most memory (MiB) of one process.")
    upload_mb: int = Field(4096, ge=1, description="Largest artifact (MiB) that can be uploaded.")
    keep_deleted_days: int = Field(
        30,
        ge=0,
        le=3650,
        description="How long deleted runs, experiments, and logged models can be brought back before they are "
        "removed for good with their artifacts (days); 0 removes nothing. What a registered version came from stays.",
    )
    cleanup_at: str = Field(
        "05:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When they are removed each day, in local time."
    )


class MLflow(Component[MLflowSpec, TrackingOutputs]):
    """An MLflow server."""

    token: ClassVar[str] = "terrace:tracking:MLflow"
    spec_type: ClassVar[type[FlavorSpec]] = MLflowSpec
    requires: ClassVar[tuple[str, ...]] = ("database", "artifact_store", "gateway")
    uses: ClassVar[tuple[str, ...]] = ("audit",)
    tells_audit: ClassVar[str] = "mlflow"
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(lock="mlflow", package="mlflow", one_way="the schemas of its databases")

    def build(self, spec: MLflowSpec, inputs: Inputs) -> TrackingOutputs:
        """Run the server on two databases of its own, for its data and for its accounts."""
        gateway = inputs.of("gateway", GatewayOutputs)
        provision = inputs.of("database", DatabaseOutputs).provision
        data, accounts_data = provision("mlflow", self), provision("mlflow_accounts", self)
        store = inputs.of("artifact_store", ArtifactStoreOutputs).provision("mlflow", "mlflow", self)
        accounts = {name: Account(name, Password(f"mlflow-{name}", self).value) for name in ACCOUNTS}
        databases = _Databases(data, accounts_data)
        cleans = spec.keep_deleted_days and not _is_s3(store)  # it looks into the store as a folder
        cleanup = _cleanup(spec, inputs.optional("audit", AuditOutputs)) if cleans else _Cleanup()
        workload = self._workload(spec, gateway, store, databases, accounts, inputs.people, cleanup)
        self.target.run(workload, self, after=[data.resource, accounts_data.resource, store.resource])
        public_url = gateway.url + PATH.rstrip("/")
        url = self.target.address(workload, "http")
        self.target.services.append(
            Service("tracking", spec.flavor, workload.name, public_url, f"{url}/health", spec.port)
        )
        return TrackingOutputs(url, public_url, gateway.ca_file, accounts)

    def _workload(
        self,
        spec: MLflowSpec,
        gateway: GatewayOutputs,
        store: Store,
        databases: _Databases,
        accounts: Mapping[str, Account],
        people: tuple[PersonAccount, ...],
        cleanup: _Cleanup,
    ) -> Workload:
        return Workload(
            name="mlflow",
            replicas=spec.replicas,
            artifact=replace(self.artifact, lock=_lock(store)),
            setup=SETUP,
            processes=(
                Process("server", _server_command(spec, self.target.peers), spec.memory_mb, copies=spec.workers),
                Process("metrics", (*_metrics_command(spec), *cleanup.records), memory_mb=256),
                *cleanup.processes,
            ),
            ports=(Port("http", spec.port), Port("metrics", spec.metrics_port)),
            files=(
                File("basic_auth.ini", _basic_auth(databases.accounts)),
                File("people.json", _people(people), live=True),
                *(file for program in PROGRAMS for file in program_files("tracking", program)),
            ),
            environment={**_settings(spec, gateway, store, self.target.host_of("mlflow")), **cleanup.environment},
            secrets={
                **store.secrets,
                "MLFLOW_BACKEND_STORE_URI": databases.runs.url(),
                "MLFLOW_FLASK_SERVER_SECRET_KEY": Password("mlflow-session-key", self).value,
                "MLFLOW_AUTH_ADMIN_PASSWORD": accounts[ADMIN].password,
                "MLFLOW_ACCOUNTS": _accounts(accounts),
            },
            probe=Probe("http", "/health"),
            routes=(Route(PATH, "http", auth="own", slot="tracking", body_mb=spec.upload_mb, reads=True, acts=ACTS),),
            metrics=(Metrics("metrics"),),
            unsaved=(".",),  # what it keeps lies in the database and the artifact store
            outside=store.outside,
        )


def _lock(store: Store) -> str:
    return "mlflow-s3" if _is_s3(store) else "mlflow"


def _is_s3(store: Store) -> bool:
    return store.location.startswith("s3://")


def _settings(spec: MLflowSpec, gateway: GatewayOutputs, store: Store, host: str) -> dict[str, str]:
    # The gateway as people, the platform's own services, and who forwards its port name it.
    entrances = (gateway.address, f"{gateway.inside}:{gateway.port}", f"localhost:{gateway.port}")
    allowed = (f"{host}:{spec.port}", *entrances)
    return {
        "HOME": "$(DATA)",
        "PYTHONPATH": "$(CONFIG)",
        "MLFLOW_AUTH_CONFIG_PATH": "$(CONFIG)/basic_auth.ini",
        "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(dict.fromkeys(allowed)),
        "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": f"{gateway.url},https://localhost:{gateway.port}",
        "MLFLOW_ARTIFACTS_DESTINATION": store.location,
        **store.environment,
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


@dataclass(frozen=True)
class _Databases:
    runs: DatabaseAccess
    accounts: DatabaseAccess


@dataclass(frozen=True)
class _Cleanup:
    """What the workload has more where deleted things are removed for good."""

    processes: tuple[Process, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    records: tuple[str, ...] = ()


def _cleanup(spec: MLflowSpec, audit: AuditOutputs | None) -> _Cleanup:
    folder = "$(DATA)/cleanup"
    return _Cleanup(
        processes=(Process("cleanup", ("$(BIN)/python", "-m", "mlflow_cleanup"), spec.memory_mb),),
        environment={
            "CLEANUP_KEEP_DAYS": str(spec.keep_deleted_days),
            "CLEANUP_AT": spec.cleanup_at,
            "CLEANUP_RECORDS": folder,
            "CLEANUP_SERVER": f"http://127.0.0.1:{spec.port}",
            "CLEANUP_USER": ADMIN,
            **({"CLEANUP_AUDIT_PORT": str(audit.port)} if audit else {}),
        },
        records=(folder,),
    )


def _server_command(spec: MLflowSpec, peers: str) -> tuple[str, ...]:
    serve = ("$(BIN)/mlflow", "server", "--app-name", "basic-auth", "--serve-artifacts")
    where = ("--host", "$(LISTEN)", "--port", str(spec.port), "--workers", str(spec.workers))
    behind_gateway = ("--uvicorn-opts", f"--forwarded-allow-ips {peers}")
    return (*serve, *where, *behind_gateway, "--expose-prometheus", "$(DATA)/metrics")


def _metrics_command(spec: MLflowSpec) -> tuple[str, ...]:
    """Return the program that shows MLflow's metrics: its own page asks for an account."""
    return ("$(BIN)/python", "$(CONFIG)/mlflow_metrics.py", "$(DATA)/metrics", str(spec.metrics_port))


def _basic_auth(database: DatabaseAccess) -> pulumi.Output[str]:
    """Return MLflow's ``basic_auth.ini``, a secret: the database's URL holds a password."""
    return database.url().apply(
        lambda url: (
            "[mlflow]\n"
            "default_permission = NO_PERMISSIONS\n"
            f"database_uri = {url}\n"
            f"admin_username = {ADMIN}\n"
            "authorization_function = mlflow_rights:authenticate\n"
            "grant_default_workspace_access = false\n"
            "auth_cache_ttl_seconds = 30\n"
        )
    )


def _accounts(accounts: Mapping[str, Account]) -> pulumi.Output[str]:
    """Return the services' accounts as JSON ``[{name, password, admin, grants}]`` for the setup step, a secret."""
    return pulumi.Output.json_dumps(
        [
            {"name": name, "password": account.password, "admin": name == ADMIN, "grants": GRANTS[name]}
            for name, account in accounts.items()
        ]
    )


def _people(people: tuple[PersonAccount, ...]) -> pulumi.Output[str]:
    """Return people's accounts as JSON ``[{name, password_hash, tracking, registry}]`` for the setup step, a secret."""
    here = [person for person in people if {"tracking", "registry"} & set(person.member.rights)]

    def accounts(passwords: list[str]) -> str:
        return json.dumps(
            [
                {
                    "name": person.user,
                    "password_hash": _password_hash(person.user, password),
                    **{slot: right for slot, right in person.member.rights.items() if slot in ("tracking", "registry")},
                }
                for person, password in zip(here, passwords, strict=True)
            ]
        )

    return pulumi.Output.secret(pulumi.Output.all(*(person.password for person in here)).apply(accounts))


def _password_hash(user: str, password: str) -> str:
    """Return a hash as MLflow keeps it (werkzeug's ``pbkdf2``), the same for the same password."""
    salt = hashlib.sha256(f"mlflow:{user}:{password}".encode()).hexdigest()[:16]
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), HASH_ROUNDS).hex()
    return f"pbkdf2:sha256:{HASH_ROUNDS}${salt}${digest}"
