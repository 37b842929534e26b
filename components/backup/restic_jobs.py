"""Backups by restic from within a cluster: encrypted, deduplicated, and checked, in a bucket of the artifact store.

Provides a backup every night, by a CronJob each: dumps of all databases, and the volumes of services that hold what
can't be made anew; with retention, a check of the whole repository, metrics, and CronJobs that bring one back when they
are started by hand. Leaves out the artifact store itself, where the backups lie, and what services make anew by
themselves.

Upstream: https://restic.readthedocs.io/, written for restic 0.19.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.backup import BackupOutputs
from components.base import Account, Component, FlavorSpec, Inputs
from components.database import DatabaseOutputs, Server
from components.programs import program_files
from terrace.password import Password
from terrace.targets.base import Service
from terrace.targets.kubernetes.pods import Visit
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, SetupStep, Workload

NAME = "backup"
DATABASES = "databases"
EXCLUDES = "excludes"


class ResticJobsSpec(FlavorSpec):
    """Options of the backups."""

    flavor: Literal["restic_jobs"] = "restic_jobs"
    at: str = Field(
        "02:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When the nightly backup starts, in UTC."
    )
    keep_last: int = Field(3, ge=1, le=1000, description="How many of the last backups stay, whatever their day.")
    keep_daily: int = Field(7, ge=0, le=1000, description="For how many days the last backup of each stays.")
    keep_weekly: int = Field(5, ge=0, le=1000, description="For how many weeks the last backup of each stays.")
    port: int = Field(15061, ge=1024, le=65535, description="TCP port of its metrics.")
    memory_mb: int = Field(1024, ge=512, description="Most memory (MiB) of one process.")

    @property
    def cron(self) -> str:
        """The time as CronJobs have it."""
        hour, minute = self.at.split(":")
        return f"{int(minute)} {int(hour)} * * *"


class ResticJobs(Component[ResticJobsSpec, BackupOutputs]):
    """CronJobs that back up and bring back, and what looks after the backups."""

    token: ClassVar[str] = "terrace:backup:ResticJobs"
    spec_type: ClassVar[type[FlavorSpec]] = ResticJobsSpec
    requires: ClassVar[tuple[str, ...]] = ("artifact_store", "database")
    # All that may have a volume, so that it comes after them and knows every one.
    uses: ClassVar[tuple[str, ...]] = (
        "audit",
        "data_versioning",
        "drift",
        "feature_store",
        "gateway",
        "monitoring",
        "pipelines",
        "serving",
        "tracking",
        "workbench",
    )
    connects: ClassVar[tuple[str, ...]] = ("artifact_store",)  # the jobs say themselves what they connect to
    supports: ClassVar[tuple[str, ...]] = ("kubernetes",)

    def build(self, spec: ResticJobsSpec, inputs: Inputs) -> BackupOutputs:
        """Make a part of the store, and the jobs for the databases and for each volume."""
        target, server = self.on(KubernetesTarget), inputs.of("database", DatabaseOutputs).server
        store = inputs.of("artifact_store", ArtifactStoreOutputs).provision(NAME, NAME, self)
        account = Account(NAME, Password("backup-repository", self).value)
        jobs = _Jobs(spec, store, account)
        saved = target.saved
        after, to = [store.resource, server.resource], {**store.to, server.service: server.port}
        target.run_on_schedule(jobs.of_databases(server), self, spec.cron, after, to)
        target.run_on_schedule(jobs.restore_databases(server), self, None, after, to)
        for each in saved:
            save, restore = jobs.of_volume(each), jobs.restore_volume(each)
            target.run_on_schedule(save, self, spec.cron, [store.resource], store.to, Visit(each.name))
            target.run_on_schedule(restore, self, None, [store.resource], store.to, Visit(each.name, changes=True))
        watch = _watch(spec, store, (DATABASES, *(each.name for each in saved)))
        target.run(watch, self, [store.resource])
        probe = target.address(watch, "http") + "/health"
        target.services.append(Service(NAME, spec.flavor, NAME, store.location, probe, spec.port))
        return BackupOutputs(account, {})


@dataclass(frozen=True)
class _Jobs:
    """Makes the jobs: each part has a repository of its own, so that none waits for another's."""

    spec: ResticJobsSpec
    store: Store
    account: Account

    def of_databases(self, server: Server) -> Workload:
        """Return what dumps all databases, and then backs the dumps up."""
        return self._save(
            DATABASES,
            setup=(SetupStep("dump", ("sh", "$(CONFIG)/dump_databases.sh"), image="postgres"),),
            program="dump_databases.sh",
            environment=_connection(server, "backup"),
            secrets={"PGPASSWORD": server.passwords["backup"]},
        )

    def restore_databases(self, server: Server) -> Workload:
        """Return what fetches dumps, and makes the databases of them."""
        program = "restore_databases.sh"
        return self._workload(
            f"restore-{DATABASES}",
            DATABASES,
            setup=(SetupStep("fetch", ("sh", "$(CONFIG)/fetch.sh"), image="restic"),),
            process=Process("restore", ("sh", f"$(CONFIG)/{program}"), self.spec.memory_mb, image="postgres"),
            programs=("fetch.sh", program),
            environment={**_connection(server, "admin"), **_fetched()},
            secrets={"PGPASSWORD": server.passwords["admin"]},
        )

    def of_volume(self, workload: Workload) -> Workload:
        """Return what backs a service's volume up, while the service runs."""
        return self._save(workload.name, excludes=workload.unsaved)

    def restore_volume(self, workload: Workload) -> Workload:
        """Return what brings a service's volume back, while the service doesn't run.

        What isn't in the backup is removed, but for what is only ever added to: there all that is there stays.
        """
        options = "--overwrite=never" if workload.grows else "--delete --exclude=/lost+found"  # which is root's
        return self._workload(
            f"restore-{workload.name}",
            workload.name,
            process=Process("fetch", ("sh", "$(CONFIG)/fetch.sh"), self.spec.memory_mb, image="restic"),
            programs=("fetch.sh",),
            environment=_fetched(options),
        )

    def _save(
        self,
        part: str,
        setup: tuple[SetupStep, ...] = (),
        program: str = "",
        excludes: tuple[str, ...] = (),
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        secrets: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> Workload:
        spec = self.spec
        keep = {"last": spec.keep_last, "daily": spec.keep_daily, "weekly": spec.keep_weekly}
        return self._workload(
            f"{NAME}-{part}",
            part,
            setup=setup,
            process=Process("save", ("sh", "$(CONFIG)/save.sh"), spec.memory_mb, image="restic"),
            programs=("save.sh", *([program] if program else [])),
            files=(File(EXCLUDES, "".join(f"{pattern}\n" for pattern in excludes)),),
            environment={
                "BACKUP_PART": part,
                "BACKUP_EXCLUDES": f"$(CONFIG)/{EXCLUDES}",
                "BACKUP_KEEP": " ".join(f"--keep-{name}={number}" for name, number in keep.items() if number),
                **(environment or {}),
            },
            secrets=secrets,
        )

    def _workload(
        self,
        name: str,
        part: str,
        *,
        process: Process,
        programs: tuple[str, ...],
        environment: Mapping[str, pulumi.Input[str]],
        setup: tuple[SetupStep, ...] = (),
        files: tuple[File, ...] = (),
        secrets: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> Workload:
        store = self.store
        place = f"{store.environment['AWS_ENDPOINT_URL_S3']}/{store.bucket}/{store.prefix}{part}"
        return Workload(
            name=name,
            artifact=Artifact(image="restic"),
            setup=setup,
            processes=(process,),
            files=(*files, *(file for program in programs for file in program_files("backup", program))),
            environment={
                **store.environment,
                "RESTIC_REPOSITORY": f"s3:{place}",
                "BACKUP_FOLDER": "$(DATA)",
                **environment,
            },
            secrets={**store.secrets, "RESTIC_PASSWORD": self.account.password, **(secrets or {})},
            outside=store.outside,
        )


def _connection(server: Server, account: str) -> dict[str, str]:
    return {"PGHOST": server.service, "PGPORT": str(server.port), "PGUSER": account, "PGCONNECT_TIMEOUT": "10"}


def _fetched(options: str = "") -> dict[str, str]:
    return {"BACKUP_SNAPSHOT": "latest", "BACKUP_FETCH": options}


def _watch(spec: ResticJobsSpec, store: Store, parts: tuple[str, ...]) -> Workload:
    """Return what shows as metrics how old the last backups are."""
    return Workload(
        name=NAME,
        artifact=Artifact(lock="s3"),
        processes=(Process("watch", ("$(BIN)/python", "$(CONFIG)/backup_watch.py"), memory_mb=256),),
        ports=(Port("http", spec.port),),
        files=program_files("backup", "backup_watch.py"),
        environment={
            **store.environment,
            "BUCKET": store.bucket,
            "BUCKET_PREFIX": store.prefix,
            "BACKUP_PARTS": ",".join(parts),
            "PORT": str(spec.port),
        },
        secrets=store.secrets,
        probe=Probe("http", "/health", timeout_seconds=30),
        metrics=(Metrics("http"),),
        outside=store.outside,
    )
