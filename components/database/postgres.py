"""PostgreSQL as the platform's relational database.

Provides a cluster of its own under the platform's data folder, reachable on loopback with SCRAM passwords, and
one role and database per consumer; on Kubernetes a StatefulSet with a volume, reachable by those who have a database in
it. Leaves out replication, TLS between pods, and backups, which the slot ``backup`` makes. The distribution's own
cluster is never touched.

Upstream: https://www.postgresql.org/docs/, written for PostgreSQL 14 to 17 as Debian, Ubuntu, and the official image
ship them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import pulumi
from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.database import DatabaseAccess, DatabaseOutputs, Server
from components.database.parts import pod
from components.database.parts.pod import ADMIN, EXPORTER, READER
from components.programs import program_files
from components.templates import render
from terrace.password import Password
from terrace.targets.base import Service
from terrace.targets.host import HostTarget
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload


class PostgresSpec(FlavorSpec):
    """Options of the PostgreSQL server."""

    flavor: Literal["postgres"] = "postgres"
    port: int = Field(15432, ge=1024, le=65535, description="TCP port on loopback.")
    exporter_port: int = Field(15433, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")
    shared_buffers_mb: int = Field(128, ge=16, description="Memory (MiB) that it keeps pages in.")
    connections: int = Field(100, ge=20, le=1000, description="Most connections at a time.")
    volume_gb: int = Field(20, ge=1, description="Size (GiB) of its volume, on Kubernetes.")


class Postgres(Component[PostgresSpec, DatabaseOutputs]):
    """A PostgreSQL server."""

    token: ClassVar[str] = "terrace:database:Postgres"
    spec_type: ClassVar[type[FlavorSpec]] = PostgresSpec
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: PostgresSpec, inputs: Inputs) -> DatabaseOutputs:
        """Run the server and return a way to get a database in it."""
        return self.on_host(spec) if isinstance(self.target, HostTarget) else self.on_kubernetes(spec)

    def on_kubernetes(self, spec: PostgresSpec) -> DatabaseOutputs:
        """Run it with a volume; a Job makes each database, by the administrator's account."""
        target = self.on(KubernetesTarget)
        passwords = {name: Password(f"postgres-{name}", self).value for name in (ADMIN, EXPORTER, READER)}
        workload = pod.workload(spec, passwords)
        server = target.run(workload, self, user_id=pod.USER_ID)
        url = f"postgresql://{workload.name}:{spec.port}"
        target.services.append(Service("database", spec.flavor, workload.name, url, url, spec.port))
        provision = pod.Provision(workload.name, spec.port, passwords[ADMIN], target, server)
        entered = {name: passwords[name] for name in (ADMIN, READER)}
        return DatabaseOutputs(provision, Server(workload.name, "", spec.port, server, entered))

    def on_host(self, spec: PostgresSpec) -> DatabaseOutputs:
        """Run it on loopback; a role makes each database, on the server's socket."""
        target = self.on(HostTarget)
        server = target.run(_workload(spec, target.user("postgres"), target.user("backup")), self)
        url = f"postgresql://127.0.0.1:{spec.port}"
        target.services.append(Service("database", spec.flavor, "postgres", url, url, spec.port))

        whole = Server("postgres", f"{target.data_folder('postgres')}/socket", spec.port, server)
        return DatabaseOutputs(_Provision(spec.port, target, server), whole)


@dataclass(frozen=True)
class _Provision:
    """Makes databases in the server at ``port``."""

    port: int
    target: HostTarget
    server: pulumi.Resource

    def __call__(
        self, name: str, consumer: pulumi.Resource, accounts: Sequence[str] = (), schema: str = ""
    ) -> DatabaseAccess:
        passwords = {role: Password(f"{role}-database", consumer).value for role in (name, *accounts)}
        variables: dict[str, Any] = {
            "database_name": name,
            "database_owner": name,
            "database_password": passwords[name],
            "postgres_port": self.port,
        }
        if accounts:
            variables["postgres_database_accounts"] = [{"name": role, "password": passwords[role]} for role in accounts]
        if schema:
            variables["postgres_database_schema"] = schema
        database = self.target.role("postgres_database", name, variables, parent=consumer, after=[self.server])

        def access(role: str) -> DatabaseAccess:
            return DatabaseAccess("127.0.0.1", self.port, name, role, passwords[role], database)

        return replace(access(name), accounts={role: access(role) for role in accounts})


def _workload(spec: PostgresSpec, user: str, reader: str) -> Workload:
    python = ("/usr/bin/python3", "$(CONFIG)/cluster.py")
    return Workload(
        name="postgres",
        artifact=Artifact(packages=("postgresql", "prometheus-postgres-exporter")),
        setup=(SetupStep("cluster", (*python, "make")),),
        processes=(
            Process("server", (*python, "run"), memory_mb=1024),
            Process("exporter", _exporter_command(spec), memory_mb=256),
        ),
        ports=(Port("sql", spec.port), Port("metrics", spec.exporter_port)),
        files=(
            File("postgresql.conf", render("database", "postgresql.conf", **spec.model_dump())),
            File("pg_hba.conf", render("database", "pg_hba.conf")),
            File("pg_ident.conf", f"exporter {user} exporter\nbackup {reader} backup\n"),
            *program_files("database", "cluster.py"),
        ),
        environment={
            "CLUSTER_DATA": "$(DATA)",
            "CLUSTER_CONFIG": "$(CONFIG)",
            "DATA_SOURCE_NAME": f"host=$(DATA)/socket port={spec.port} user=exporter dbname=postgres sslmode=disable",
        },
        probe=Probe("metrics", "/metrics"),
        metrics=(Metrics("metrics"),),
        unsaved=(".",),  # a backup holds dumps of it
    )


def _exporter_command(spec: PostgresSpec) -> tuple[str, ...]:
    return ("/usr/bin/prometheus-postgres-exporter", f"--web.listen-address=127.0.0.1:{spec.exporter_port}")
