"""SeaweedFS in the cluster as the artifact store, by the S3 API.

Provides each consumer with a bucket of its own that keeps versions, and with an account that reaches that bucket alone.
Of what leaves the pod, others reach the S3 API and the metrics alone; SeaweedFS' own protocols, which have no accounts,
stay on its loopback. Leaves out several copies: the volume's storage class keeps the data safe.

Upstream: https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API, written for SeaweedFS 4.53.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import pulumi
from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.base import Component, FlavorSpec, Inputs
from components.programs import program_files
from terrace.password import Password
from terrace.targets.base import Service
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, File, Metrics, Port, Probe, Process, Workload

ADMIN = "admin"
RIGHTS = ("Read", "Write", "List", "Tagging")


class SeaweedFSSpec(FlavorSpec):
    """Options of the store."""

    flavor: Literal["seaweedfs"] = "seaweedfs"
    port: int = Field(18333, ge=1024, le=55535, description="TCP port of the S3 API.")
    metrics_port: int = Field(18334, ge=1024, le=65535, description="TCP port of its metrics.")
    volume_gb: int = Field(100, ge=5, description="Size (GiB) of its volume.")
    memory_mb: int = Field(1024, ge=512, description="Most memory (MiB) that it takes.")
    old_versions_days: int = Field(90, ge=1, description="How long (days) an object's earlier versions are kept.")


class SeaweedFS(Component[SeaweedFSSpec, ArtifactStoreOutputs]):
    """A SeaweedFS server."""

    token: ClassVar[str] = "terrace:artifact_store:SeaweedFS"
    spec_type: ClassVar[type[FlavorSpec]] = SeaweedFSSpec
    supports: ClassVar[tuple[str, ...]] = ("kubernetes",)

    def build(self, spec: SeaweedFSSpec, inputs: Inputs) -> ArtifactStoreOutputs:
        """Run the server and return a way to get a bucket in it."""
        target = self.on(KubernetesTarget)
        accounts: dict[str, pulumi.Output[str]] = {ADMIN: Password("seaweedfs-admin", self).value}
        # Whoever asks for a bucket does so later; the server reads its accounts when it starts.
        listed = target.when_declared(lambda: pulumi.Output.all(**accounts).apply(_accounts))
        workload = _workload(spec, listed)
        server = target.run(workload, self)
        url = target.address(workload, "s3")
        target.services.append(Service("artifact_store", spec.flavor, workload.name, url, f"{url}/healthz", spec.port))
        return ArtifactStoreOutputs(_Provision(spec, url, target, server, accounts), url)


@dataclass(frozen=True)
class _Provision:
    """Makes buckets in the server at ``url``."""

    spec: SeaweedFSSpec
    url: str
    target: KubernetesTarget
    server: pulumi.Resource
    accounts: dict[str, pulumi.Output[str]]

    def __call__(self, name: str, owner: str, consumer: pulumi.Resource) -> Store:
        self.accounts[name] = Password(f"{name}-artifacts", consumer).value
        to = {"seaweedfs": self.spec.port}
        made = self.target.run_once(self._job(name), consumer, [self.server], to)
        environment = {"MLFLOW_S3_ENDPOINT_URL": self.url, "AWS_ENDPOINT_URL_S3": self.url, "AWS_ACCESS_KEY_ID": name}
        return Store(f"s3://{name}", made, environment, {"AWS_SECRET_ACCESS_KEY": self.accounts[name]}, to=to)

    def _job(self, name: str) -> Workload:
        """Return what makes a bucket, and sees that its consumer can write to it."""
        return Workload(
            name=f"bucket-{name}",
            artifact=Artifact(lock="s3"),
            processes=(Process("bucket", ("$(BIN)/python", "$(CONFIG)/bucket.py"), memory_mb=256),),
            files=program_files("artifact_store", "bucket.py"),
            environment={
                "AWS_ENDPOINT_URL_S3": self.url,
                "BUCKET": name,
                "BUCKET_ADMIN": ADMIN,
                "BUCKET_USER": name,
                "BUCKET_OLD_VERSIONS_DAYS": str(self.spec.old_versions_days),
            },
            secrets={"BUCKET_ADMIN_KEY": self.accounts[ADMIN], "BUCKET_USER_KEY": self.accounts[name]},
        )


def _workload(spec: SeaweedFSSpec, accounts: pulumi.Output[str]) -> Workload:
    return Workload(
        name="seaweedfs",
        artifact=Artifact(image="seaweedfs"),
        processes=(Process("server", _command(spec), spec.memory_mb, stop_seconds=30),),
        ports=(Port("s3", spec.port), Port("metrics", spec.metrics_port)),
        files=(File("accounts.json", accounts),),
        probe=Probe("s3", "/healthz"),
        metrics=(Metrics("metrics"),),
        unsaved=(".",),  # backups lie here, too
        volume_gb=spec.volume_gb,
    )


def _command(spec: SeaweedFSSpec) -> tuple[str, ...]:
    inside = ("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-dir=$(DATA)", "-volume.max=0")
    # There is no other volume server that it would have to wait for at its end.
    return (
        *("/usr/bin/weed", "-logtostderr=true", "server", "-filer", "-s3"),
        *inside,
        "-volume.preStopSeconds=1",
        "-master.volumeSizeLimitMB=1024",
        "-master.telemetry=false",
        "-s3.ip.bind=$(LISTEN)",
        f"-s3.port={spec.port}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.iam=false",  # accounts come from the file alone
        "-s3.config=$(CONFIG)/accounts.json",
        "-metricsIp=$(LISTEN)",
        f"-metricsPort={spec.metrics_port}",
    )


def _accounts(passwords: Mapping[str, str]) -> str:
    """Return SeaweedFS' file of accounts: the administrator's, and one for each bucket that reaches it alone."""

    def account(name: str, password: str) -> dict[str, Any]:
        actions = ["Admin"] if name == ADMIN else [f"{right}:{name}" for right in RIGHTS]
        return {"name": name, "credentials": [{"accessKey": name, "secretKey": password}], "actions": actions}

    return json.dumps({"identities": [account(*each) for each in sorted(passwords.items())]}, indent=1)
