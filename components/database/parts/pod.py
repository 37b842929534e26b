"""PostgreSQL in a pod of the official image: the server, its exporter, and the Jobs that make databases in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pulumi

from components.database import DatabaseAccess
from components.templates import render, render_of_role
from terrace.password import Password
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload

if TYPE_CHECKING:
    from components.database.postgres import PostgresSpec

ADMIN, EXPORTER, READER = "admin", "exporter", "backup"
USER_ID = 999  # of the image: `initdb` refuses a user that the image doesn't know
# What they may do is made with the cluster, since it is in a state of its own until it is complete; passwords, each
# time. In single-user mode a statement ends with an empty line.
CLUSTER = """\
if ! [ -s $(DATA)/cluster/PG_VERSION ]; then
  rm -rf $(DATA)/cluster.new
  initdb --pgdata=$(DATA)/cluster.new --encoding=UTF8 --locale=C.UTF-8 --data-checksums --auth=reject
  printf '%s;\\n\\n' 'CREATE ROLE admin LOGIN SUPERUSER' 'CREATE ROLE exporter LOGIN' 'CREATE ROLE backup LOGIN' \\
    'GRANT pg_monitor TO exporter' 'GRANT pg_read_all_data TO backup' |
    postgres --single -j -D $(DATA)/cluster.new postgres
  mv $(DATA)/cluster.new $(DATA)/cluster
fi
mkdir -p -m 0700 $(DATA)/socket
printf "ALTER ROLE %s PASSWORD '%s';\\n\\n" \\
  admin "$ADMIN_PASSWORD" exporter "$DATA_SOURCE_PASS" backup "$BACKUP_PASSWORD" |
  postgres --single -j -D $(DATA)/cluster -c config_file=$(CONFIG)/postgresql.conf postgres
"""


def workload(spec: PostgresSpec, passwords: Mapping[str, pulumi.Output[str]]) -> Workload:
    """Return the server with its exporter.

    Args:
        spec: Its options.
        passwords: Those of the administrator, the exporter, and who backs up, of letters, digits, ``-`` and ``_``.
    """
    server = ("postgres", "-D", "$(DATA)/cluster", "-c", "config_file=$(CONFIG)/postgresql.conf")
    return Workload(
        name="postgres",
        artifact=Artifact(image="postgres"),
        setup=(SetupStep("cluster", ("sh", "-euc", CLUSTER)),),
        processes=(
            Process("server", server, memory_mb=1024, stop_seconds=60),
            Process("exporter", _exporter_command(spec), memory_mb=256, image="postgres-exporter"),
        ),
        ports=(Port("sql", spec.port), Port("metrics", spec.exporter_port)),
        files=(
            File("postgresql.conf", render("database", "postgresql.conf", **spec.model_dump())),
            File("pg_hba.conf", render("database", "pg_hba_pod.conf")),
            File("pg_ident.conf", ""),
        ),
        environment={
            "DATA_SOURCE_URI": f"127.0.0.1:{spec.port}/postgres?sslmode=disable",
            "DATA_SOURCE_USER": EXPORTER,
        },
        secrets={
            "ADMIN_PASSWORD": passwords[ADMIN],
            "DATA_SOURCE_PASS": passwords[EXPORTER],
            "BACKUP_PASSWORD": passwords[READER],
        },
        probe=Probe("metrics", "/metrics"),
        metrics=(Metrics("metrics"),),
        unsaved=(".",),  # a backup holds dumps of it
        volume_gb=spec.volume_gb,
    )


@dataclass(frozen=True)
class Provision:
    """Makes databases in the server ``service``."""

    service: str
    port: int
    password: pulumi.Output[str]
    target: KubernetesTarget
    server: pulumi.Resource

    def __call__(
        self, name: str, consumer: pulumi.Resource, accounts: Sequence[str] = (), schema: str = ""
    ) -> DatabaseAccess:
        """Return the new database; see `components.database.Provision`."""
        passwords = {role: Password(f"{role}-database", consumer).value for role in (name, *accounts)}
        statements = pulumi.Output.all(**passwords).apply(lambda known: _statements(name, known, schema))
        made = self.target.run_once(
            self._job(name, statements), consumer, [self.server], {self.service: self.port}, USER_ID
        )

        def access(role: str) -> DatabaseAccess:
            return DatabaseAccess(self.service, self.port, name, role, passwords[role], made)

        return replace(access(name), accounts={role: access(role) for role in accounts})

    def _job(self, name: str, statements: pulumi.Output[str]) -> Workload:
        quiet = ("psql", "--no-psqlrc", "--no-password", "--set=ON_ERROR_STOP=1")
        return Workload(
            name=f"database-{name.replace('_', '-')}",
            artifact=Artifact(image="postgres"),
            processes=(Process("psql", (*quiet, "--file=$(CONFIG)/database.sql"), memory_mb=128),),
            files=(File("database.sql", statements),),
            environment={
                "PGHOST": self.service,
                "PGPORT": str(self.port),
                "PGUSER": ADMIN,
                "PGDATABASE": "postgres",
                "PGCONNECT_TIMEOUT": "10",
            },
            secrets={"PGPASSWORD": self.password},
        )


def _statements(name: str, passwords: Mapping[str, str], schema: str) -> str:
    """Return the same SQL as on a host; all of it can be repeated."""
    return render_of_role(
        "postgres_database",
        "database.sql",
        database_name=name,
        database_owner=name,
        database_password=passwords[name],
        postgres_database_accounts=[
            {"name": role, "password": password} for role, password in passwords.items() if role != name
        ],
        postgres_database_schema=schema,
    )


def _exporter_command(spec: PostgresSpec) -> tuple[str, ...]:
    return ("/bin/postgres_exporter", f"--web.listen-address=$(LISTEN):{spec.exporter_port}")
