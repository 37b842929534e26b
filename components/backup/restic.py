"""Backups by restic: encrypted, deduplicated, and checked, in a folder of this machine or, by SSH, of another.

Provides a backup every night and on demand: dumps of all databases, the folders of services and artifacts, and the
configuration with the environment's CA; with retention, a check of the whole repository, metrics, and a restore that
replaces data at once or not at all (``terrace backup``, ``terrace restore``). Leaves out metrics of the past, what
services make anew by themselves, and Pulumi's state, which lies at its own backend. Where there are several hosts, each
saves what lies on it, those beside the databases' a little later.

Upstream: https://restic.readthedocs.io/, written for restic 0.14 to 0.16 as Debian and Ubuntu ship them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pulumi
from pydantic import Discriminator, Field, Tag

from components.backup import BackupOutputs
from components.backup.parts.ssh_place import SshPlace, Way
from components.base import Account, Component, FlavorSpec, Inputs
from components.database import DatabaseOutputs, Server
from components.programs import program_files
from terrace.edges import HOST_BACKUP, name_among_all
from terrace.password import Password
from terrace.spec_base import AbsolutePath
from terrace.ssh_key import SshKey
from terrace.targets.base import Service
from terrace.targets.host import HostTarget
from terrace.workload import Artifact, Metrics, Port, Probe, Process, SetupStep, Workload

NAME = "backup"
LATER_MINUTES = 10  # a row's files on another host are saved after the row, unless the dumps take longer


def _kind(value: Any) -> str:
    return "<machine>" if isinstance(value, (dict, SshPlace)) else "<folder>"


class ResticSpec(FlavorSpec):
    """Options of the backups."""

    flavor: Literal["restic"] = "restic"
    place: Annotated[
        Annotated[AbsolutePath, Tag("<folder>")] | Annotated[SshPlace, Tag("<machine>")], Discriminator(_kind)
    ] = Field(
        "/var/backups/terrace",
        description="The folder that backups are kept in, on a disk of its own; or one of another machine, by SSH: "
        "`{address, user, host_key, path}`, and `port`.",
    )
    at: str = Field(
        "02:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description="When the nightly backup starts, in local time."
    )
    keep_last: int = Field(3, ge=1, le=1000, description="How many of the last backups stay, whatever their day.")
    keep_daily: int = Field(7, ge=0, le=1000, description="For how many days the last backup of each stays.")
    keep_weekly: int = Field(5, ge=0, le=1000, description="For how many weeks the last backup of each stays.")
    include: tuple[AbsolutePath, ...] = Field(
        (),
        description="Further files and folders to back up, such as the project's, on the databases' host; "
        "`terrace restore` leaves them.",
    )
    port: int = Field(15060, ge=1024, le=65535, description="TCP port of its metrics, on loopback.")
    memory_mb: int = Field(2048, ge=512, description="Most memory (MiB) of one process.")


class Restic(Component[ResticSpec, BackupOutputs]):
    """The nightly backup's service."""

    token: ClassVar[str] = "terrace:backup:Restic"
    spec_type: ClassVar[type[FlavorSpec]] = ResticSpec
    requires: ClassVar[tuple[str, ...]] = ("database",)
    connects: ClassVar[tuple[str, ...]] = ()  # it enters the database by its socket
    beside: ClassVar[str] = "database"
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec: ResticSpec, inputs: Inputs) -> BackupOutputs:
        """Make the place and run the service; what there is to back up it finds in the host's manifest."""
        target = self.on(HostTarget)
        server = inputs.of("database", DatabaseOutputs).server
        account = Account(NAME, Password("backup-repository", self).value)
        way = self._way(spec.place, target.environment)
        place = self._folder(spec.place, NAME, target.environment, target, f"{NAME}-backup_place")
        workload = _workload(spec, _with_databases(spec, target.environment, server), account, way)
        target.run(workload, self, after=[*place, server.resource])
        probe = target.address(workload, "http") + "/health"
        target.services.append(Service("backup", spec.flavor, NAME, _url(spec.place), probe, spec.port))
        for other in target.others:
            self._save_files(spec, other, account, way)
        return BackupOutputs(account, {NAME: way.line} if way else {})

    def _way(self, place: str | SshPlace, environment: str) -> Way | None:
        """Make the key that all hosts get to another machine's folder with."""
        return Way(place, SshKey("backup-key", self), environment) if isinstance(place, SshPlace) else None

    def _save_files(self, spec: ResticSpec, host: HostTarget, account: Account, way: Way | None) -> None:
        """Have a host beside the databases' save what lies on it."""
        name, port = name_among_all(HOST_BACKUP, host.host.name), host.own_port(NAME)
        folder = f"{host.environment}.{host.host.name}"
        place = self._folder(spec.place, HOST_BACKUP, folder, host, f"{name}-backup_place")
        variables = _without_databases(spec, host.environment, host.host.name, port)
        workload = _workload(spec, variables, account, way)
        probe = host.address(workload, "http") + "/health"
        service = Service("backup", spec.flavor, name, _url(spec.place), probe, port, host.host.name)
        host.run_as(service, workload, self, after=place)

    def _folder(
        self, place: str | SshPlace, owner: str, folder: str, host: HostTarget, name: str
    ) -> list[pulumi.Resource]:
        """Make a host's folder in the place; one on another machine the agent makes itself."""
        if isinstance(place, SshPlace):
            return []
        variables = {"backup_place_path": place, "backup_place_owner": owner, "backup_place_folder": folder}
        return [host.role("backup_place", owner, variables, parent=self, name=name)]


def _url(place: str | SshPlace) -> str:
    return place.url if isinstance(place, SshPlace) else f"file://{place}"


def _with_databases(spec: ResticSpec, environment: str, server: Server) -> dict[str, str]:
    return {
        "BACKUP_ENVIRONMENT": environment,
        "BACKUP_SERVICE": NAME,
        "BACKUP_PLACE": f"{spec.place}/{environment}",
        "BACKUP_AT": spec.at,
        "BACKUP_INCLUDE": json.dumps(spec.include),
        "BACKUP_SOCKET": server.socket,
        "BACKUP_DATABASE_PORT": str(server.port),
        "BACKUP_DATABASE_SERVICE": server.service,
        "BACKUP_PORT": str(spec.port),
    }


def _without_databases(spec: ResticSpec, environment: str, host: str, port: int) -> dict[str, str]:
    return {
        "BACKUP_ENVIRONMENT": environment,
        "BACKUP_SERVICE": HOST_BACKUP,
        "BACKUP_HOST": host,
        "BACKUP_PLACE": f"{spec.place}/{environment}.{host}",
        "BACKUP_AT": _later(spec.at),
        "BACKUP_PORT": str(port),
    }


def _later(at: str) -> str:
    hour, minute = map(int, at.split(":"))
    hours, minutes = divmod(60 * hour + minute + LATER_MINUTES, 60)
    return f"{hours % 24:02}:{minutes:02}"


def _workload(spec: ResticSpec, variables: Mapping[str, str], account: Account, way: Way | None) -> Workload:
    agent = ("/usr/bin/python3", "-m", "backup_agent")
    keep = {"last": spec.keep_last, "daily": spec.keep_daily, "weekly": spec.keep_weekly}
    client = ("postgresql-client",) if "BACKUP_SOCKET" in variables else ()
    return Workload(
        name=variables["BACKUP_SERVICE"],
        artifact=Artifact(packages=("restic", *client, *(way.packages if way else ()))),
        setup=(SetupStep("repository", (*agent, "init")),),
        processes=(Process("server", (*agent, "serve"), spec.memory_mb),),
        ports=(Port("http", int(variables["BACKUP_PORT"])),),
        files=(*program_files("backup", "backup_agent"), *(way.files if way else ())),
        environment={
            "PYTHONPATH": "$(CONFIG)",
            "BACKUP_DATA": "$(DATA)",
            "BACKUP_KEEP": json.dumps(keep),
            **variables,
            **(way.variables if way else {}),
        },
        secrets={"BACKUP_PASSWORD": account.password},
        probe=Probe("http", "/health", timeout_seconds=30),
        metrics=(Metrics("http"),),
        unsaved=(".",),
        reads_all=True,
    )
