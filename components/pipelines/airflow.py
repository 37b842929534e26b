"""Apache Airflow 3 behind the same contract as the small scheduler: bundles become DAGs, their steps tasks.

Provides what ``timer`` does (bundles sent, runs started and cancelled, schedules, retries, logs, metrics, the same
accounts) with Airflow's scheduler, its pages at ``/airflow/``, and its history in PostgreSQL. A service of this
project's takes the bundles and answers for runs through Airflow's REST API, so that projects needn't know which of the
two they run on. Leaves out other executors than the local one, the triggerer (no step is deferred), and DAGs that come
by another way than as a bundle.

Upstream: https://airflow.apache.org/docs/apache-airflow/stable/, written for Airflow 3.3.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.base import Account, Component, FlavorSpec, Inputs
from components.database import DatabaseAccess, DatabaseOutputs
from components.gateway import GatewayOutputs
from components.pipelines import PipelinesOutputs
from components.pipelines.parts.service import (
    ACCOUNT,
    PATH,
    PROGRAMS,
    ServiceSpec,
    connections,
    environment,
    people_accounts,
    route,
    shipped,
)
from terrace.password import Password
from terrace.targets.base import Service
from terrace.workload import Act, Artifact, Metrics, Port, Probe, Process, Route, SetupStep, Workload

PAGES = "/airflow/"
RESTS_MB = 512  # of a worker that waits for a step
API = f"{PAGES}api/v2/"
# What people do on its pages, beside what a request's method says; the latter's object is the request itself.
ACTS = (
    Act(rf"(?:GET|POST) {PAGES}auth/.*", "read"),  # a login is seen by the account that comes with the answer
    Act(rf"POST {API}dags/[^/]+/dagRuns(?:/[^/]+/taskInstances)?/list", "read"),
    Act(rf"POST {API}backfills/dry_run", "read"),
    Act(rf"PATCH {API}dags/[^/]+/dagRuns/[^/]+/task(?:Group)?Instances/[^/]+(?:/-?\d+)?/dry_run", "read"),
    Act(rf"(?:GET|HEAD) {API}dags/([^/]+)/.*/(?:logs|xcomEntries|state-store|wait)(?:/.*)?", "read_data"),
    Act(rf"POST {API}dags/([^/]+)/dagRuns", "run_pipeline"),
    Act(rf"DELETE {API}dags/([^/]+)", "remove_pipeline"),
)
PAGES_ROUTE = Route(
    PAGES,
    "web",
    auth="own",
    slot="pipelines",
    keep_path=True,
    hidden=("execution",),  # what tasks and the scheduler say to each other stays on the machine
    names_account=True,
    acts=ACTS,
)
INTAKE = f"{PROGRAMS}.airflow_intake"
KEYS = ("airflow-fernet-key", "airflow-session-key", "airflow-token-key")
# For an interval (seconds) that has always passed, also since a moment that lies ahead, as after a clock was set back:
# pipelines that come then would otherwise wait until it has caught up.
ALWAYS = -(10**9)
# Settings that no option changes.
FIXED: Mapping[str, dict[str, object]] = {
    # A DAG is read within seconds after its bundle came, and otherwise rarely.
    "dag_processor": {
        "bundle_refresh_check_interval": 1,
        "min_file_process_interval": 300,
        "parsing_processes": 1,
        "print_stats_interval": 0,
        "refresh_interval": ALWAYS,
    },
    # A browser logs in anew by itself, as long as it knows the password (seconds).
    "api_auth": {"jwt_expiration_time": 3600},
    "database": {"sql_alchemy_max_overflow": 5, "sql_alchemy_pool_size": 3},
    "logging": {
        "base_log_folder": "$(DATA)/logs",
        "colored_console_log": False,
        "dag_processor_log_target": "stdout",
        # A line for each look into the folder, and for each request of the service, would be all that is seen.
        "namespace_levels": "airflow.dag_processing.manager=WARNING http.access=WARNING",
        "uvicorn_logging_level": "WARNING",
    },
    # A step whose process was killed, alone or with the scheduler, is seen as lost after a minute, not five.
    "scheduler": {"orphaned_tasks_check_interval": 30, "task_instance_heartbeat_timeout": 60},
    # Tasks wait for an API server that starts anew, for about two minutes.
    "workers": {"execution_api_retries": 16, "execution_api_retry_wait_max": 10, "max_failed_heartbeats": 12},
}


class AirflowSpec(ServiceSpec):
    """Options of Airflow and of the service before it."""

    flavor: Literal["airflow"] = "airflow"
    # Not timer's: where one takes the other's place, both are there for a while.
    port: int = Field(15091, ge=1024, le=65535, description="TCP port of the service, on loopback.")
    web_port: int = Field(15092, ge=1024, le=65535, description="TCP port of Airflow's API server, on loopback.")
    parallelism: int = Field(
        4, ge=1, le=64, description="Steps that run at once, of all pipelines; never more than the machine has cores."
    )


class Airflow(Component[AirflowSpec, PipelinesOutputs]):
    """Airflow's processes, and the service before them."""

    token: ClassVar[str] = "terrace:pipelines:Airflow"
    spec_type: ClassVar[type[FlavorSpec]] = AirflowSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "tracking", "database")
    uses: ClassVar[tuple[str, ...]] = ("data_quality", "data_versioning", "feature_store", "serving")
    connects: ClassVar[tuple[str, ...]] = ("database", "feature_store")  # steps reach the rest through the gateway
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(
        lock="airflow", package="apache-airflow-core", one_way="the schema of its database"
    )

    def build(self, spec: AirflowSpec, inputs: Inputs) -> PipelinesOutputs:
        """Run Airflow on a database of its own."""
        gateway = inputs.of("gateway", GatewayOutputs)
        database = inputs.of("database", DatabaseOutputs).provision("airflow", self)
        account = Account(ACCOUNT, Password("airflow-account", self).value)
        workload = self._workload(spec, account, database, inputs)
        self.target.run(workload, self, after=[database.resource])
        health = self.target.address(workload, "http") + "/health"
        pages = gateway.url + PAGES
        self.target.services.append(Service("pipelines", spec.flavor, workload.name, pages, health, spec.port))
        return PipelinesOutputs(gateway.url + PATH, account)

    def _workload(self, spec: AirflowSpec, account: Account, database: DatabaseAccess, inputs: Inputs) -> Workload:
        project = connections(self.target, inputs)
        own = environment(spec, account, project, inputs)
        return Workload(
            name="airflow",
            artifact=self.artifact,
            setup=(SetupStep("database", ("$(BIN)/airflow", "db", "migrate")),),
            processes=_processes(spec),
            ports=(Port("http", spec.port), Port("web", spec.web_port)),
            files=(*shipped("airflow_intake"), people_accounts(inputs.people)),
            environment={
                **own,
                **_settings(spec, inputs.of("gateway", GatewayOutputs).url + PAGES),
                "FORWARDED_ALLOW_IPS": self.target.peers,  # whose word on what people asked for is taken
            },
            secrets={
                "PIPELINES_PASSWORD": account.password,
                "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database.url("postgresql+psycopg2"),
                **self._keys(),
                **project,
            },
            probe=Probe("http", "/health", timeout_seconds=180, alive="/alive"),
            routes=(route(spec), PAGES_ROUTE),
            metrics=(Metrics("http"),),
            downloads=True,
            unsaved=("uv-cache", "bundles/*/.venv"),
            volume_gb=spec.volume_gb,
        )

    def _keys(self) -> Mapping[str, pulumi.Output[str]]:
        fernet, session, token = (Password(name, self).value for name in KEYS)
        return {
            "AIRFLOW__CORE__FERNET_KEY": fernet.apply(_fernet_key),
            "AIRFLOW__API__SECRET_KEY": session,
            "AIRFLOW__API_AUTH__JWT_SECRET": token.apply(_long_key),
        }


def _processes(spec: AirflowSpec) -> tuple[Process, ...]:
    airflow, own = "$(BIN)/airflow", ("$(BIN)/python", "-m")
    return (
        Process("server", (*own, INTAKE), 512, stop_seconds=10),
        Process("web", (airflow, "api-server", "--proxy-headers"), 2048, stop_seconds=10),
        # Steps are its children, and have its limit.
        Process(
            "scheduler",
            (*own, f"{INTAKE}.scheduler"),
            spec.memory_mb,
            stop_seconds=30,
            copies=spec.parallelism,
            rests_mb=RESTS_MB,
            computes=True,
        ),
        Process("dag-processor", (airflow, "dag-processor"), 1024, stop_seconds=10),
    )


def _settings(spec: AirflowSpec, pages: str) -> dict[str, str]:
    """Return Airflow's settings, ``AIRFLOW__<SECTION>__<OPTION>``; ``pages`` is where people see it."""
    own = f"http://127.0.0.1:{spec.web_port}{PAGES}"
    options: dict[str, dict[str, object]] = {
        **FIXED,
        "core": {
            "auth_manager": f"{INTAKE}.accounts.PeopleAuthManager",
            "dags_are_paused_at_creation": False,
            "dags_folder": "$(DATA)/dags",
            "execution_api_server_url": f"{own}execution/",
            "executor": "LocalExecutor",
            "load_examples": False,
            "min_serialized_dag_update_interval": ALWAYS,
            "parallelism": spec.parallelism,
        },
        "api": {
            "base_url": pages,
            "enable_swagger_ui": False,
            "host": "$(LISTEN)",
            "port": spec.web_port,
            "workers": 1,
        },
    }
    return {
        "AIRFLOW_HOME": "$(DATA)/airflow",
        "AIRFLOW_INTAKE_URL": own,
        **{f"AIRFLOW__{s.upper()}__{o.upper()}": str(v) for s, some in options.items() for o, v in some.items()},
    }


def _fernet_key(password: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(password.encode()).digest()).decode()


def _long_key(password: str) -> str:
    """Return a key as long as the hash that it signs with (SHA-512)."""
    return hashlib.sha512(password.encode()).hexdigest()
