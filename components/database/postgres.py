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
from terrace.password import Password
from terrace.targets.base import Service
from terrace.targets.host import HostTarget


class PostgresSpec(FlavorSpec):
    """Options of the PostgreSQL server."""

    flavor: Literal["postgres"] = "postgres"
    port: int = Field(15432, ge=1024, le=65535, description="TCP port on loopback.")
    exporter_port: int = Field(15433, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")
    memory_mb: int = Field(256, ge=128, description="Shared buffers plus work memory (MiB).")


class Postgres(Component[PostgresSpec, DatabaseOutputs]):
    """A PostgreSQL server."""

    token: ClassVar[str] = "terrace:database:Postgres"
    spec_type: ClassVar[type[FlavorSpec]] = PostgresSpec
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: PostgresSpec, inputs: Inputs) -> DatabaseOutputs:
        """Run the server and return a way to get a database in it."""
        target = self.on(HostTarget)
        server = target.role(
            "postgres",
            "postgres",
            {
                "postgres_port": spec.port,
                "postgres_exporter_port": spec.exporter_port,
                "postgres_superuser_password": Password("postgres-superuser", self).value,
                "postgres_exporter_password": Password("postgres-exporter", self).value,
                "postgres_memory_mb": spec.memory_mb,
            },
            parent=self,
        )
        target.services.append(
            Service("database", spec.flavor, "postgres", f"postgresql://127.0.0.1:{spec.port}", "", spec.port)
        )

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

        return DatabaseOutputs(provision)
