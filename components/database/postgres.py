"""PostgreSQL as the platform's relational database.

Provides a cluster of its own under the platform's data folder, reachable on loopback with SCRAM passwords, and
one role and database per consumer. Leaves out replication and backups: one machine has no second place to put
them. The distribution's own cluster is never touched.

Upstream: https://www.postgresql.org/docs/, written for PostgreSQL 14 to 17 as Debian and Ubuntu ship them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.base import Component, FlavorSpec, Inputs
from components.database import DatabaseAccess, DatabaseOutputs
from components.programs import program_files
from components.templates import render
from terrace.password import Password
from terrace.targets.base import Service
from terrace.targets.host import HostTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload


class PostgresSpec(FlavorSpec):
    """Options of the PostgreSQL server."""

    flavor: Literal["postgres"] = "postgres"
    port: int = Field(15432, ge=1024, le=65535, description="TCP port on loopback.")
    exporter_port: int = Field(15433, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")
    shared_buffers_mb: int = Field(128, ge=16, description="Memory (MiB) that it keeps pages in.")
    connections: int = Field(100, ge=20, le=1000, description="Most connections at a time.")


class Postgres(Component[PostgresSpec, DatabaseOutputs]):
    """A PostgreSQL server."""

    token: ClassVar[str] = "terrace:database:Postgres"
    spec_type: ClassVar[type[FlavorSpec]] = PostgresSpec
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: PostgresSpec, inputs: Inputs) -> DatabaseOutputs:
        """Run the server and return a way to get a database in it."""
        target = self.on(HostTarget)
        server = target.run(_workload(spec, target.user("postgres")), self)
        url = f"postgresql://127.0.0.1:{spec.port}"
        target.services.append(Service("database", spec.flavor, "postgres", url, url, spec.port))

        def provision(name: str, consumer: pulumi.Resource) -> DatabaseAccess:
            password = Password(f"{name}-database", consumer).value
            database = target.role(
                "postgres_database",
                name,
                {
                    "database_name": name,
                    "database_owner": name,
                    "database_password": password,
                    "postgres_port": spec.port,
                },
                parent=consumer,
                after=[server],
            )
            return DatabaseAccess("127.0.0.1", spec.port, name, name, password, database)

        return DatabaseOutputs(provision, spec.port)


def _workload(spec: PostgresSpec, user: str) -> Workload:
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
            File("pg_ident.conf", f"exporter {user} exporter\n"),
            *program_files("database", "cluster.py"),
        ),
        environment={
            "CLUSTER_DATA": "$(DATA)",
            "CLUSTER_CONFIG": "$(CONFIG)",
            "DATA_SOURCE_NAME": f"host=$(DATA)/socket port={spec.port} user=exporter dbname=postgres sslmode=disable",
        },
        probe=Probe("metrics", "/metrics"),
        metrics=(Metrics("metrics"),),
    )


def _exporter_command(spec: PostgresSpec) -> tuple[str, ...]:
    return ("/usr/bin/prometheus-postgres-exporter", f"--web.listen-address=127.0.0.1:{spec.exporter_port}")
