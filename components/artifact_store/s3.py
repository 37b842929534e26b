"""A bucket of an S3 store outside of the cluster as the artifact store.

Provides each consumer with a prefix of its own in the bucket, by the one account that the spec names; a Job sees that
it can be written to. Leaves out making the bucket, its versions and lifecycle, and an account for each consumer:
whoever runs the store does that. Its certificate must be of a public authority.

Upstream: https://docs.aws.amazon.com/AmazonS3/latest/API/, written for the API of 2006-03-01.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import pulumi
from pydantic import Field

from components.artifact_store import ArtifactStoreOutputs, Store
from components.base import Component, FlavorSpec, Inputs
from components.programs import program_files
from terrace.spec_base import PlainUrl, Secret
from terrace.targets.given import secret_of_spec
from terrace.targets.kubernetes.target import KubernetesTarget
from terrace.workload import Artifact, Process, Workload

Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]


class S3Spec(FlavorSpec):
    """Options of the store."""

    flavor: Literal["s3"] = "s3"
    bucket: Bucket = Field(description="The bucket, which is there already and keeps versions.")
    endpoint: PlainUrl | None = Field(None, description="The store's address; by default that of AWS in the region.")
    region: str = Field("us-east-1", pattern=r"^[a-z0-9-]+$", description="The bucket's region.")
    access_key: str = Field(min_length=1, description="Name of the account's key.")
    secret_key: Secret = Field(description="The key itself, by `terrace encrypt`.")

    @property
    def url(self) -> str:
        """The store's address."""
        return self.endpoint or f"https://s3.{self.region}.amazonaws.com"


class S3(Component[S3Spec, ArtifactStoreOutputs]):
    """A bucket elsewhere."""

    token: ClassVar[str] = "terrace:artifact_store:S3"
    spec_type: ClassVar[type[FlavorSpec]] = S3Spec
    supports: ClassVar[tuple[str, ...]] = ("kubernetes",)

    def build(self, spec: S3Spec, inputs: Inputs) -> ArtifactStoreOutputs:
        """Return a way to get a prefix in the bucket."""
        key = secret_of_spec("artifact_store", "secret_key")
        return ArtifactStoreOutputs(_Provision(spec, key, self.on(KubernetesTarget)))


@dataclass(frozen=True)
class _Provision:
    """Gives out prefixes of the bucket."""

    spec: S3Spec
    key: pulumi.Output[str]
    target: KubernetesTarget

    def __call__(self, name: str, owner: str, consumer: pulumi.Resource) -> Store:
        made = self.target.run_once(self._job(name), consumer, [], {})
        environment = {
            **self._place(),
            "MLFLOW_S3_ENDPOINT_URL": self.spec.url,
            "AWS_ACCESS_KEY_ID": self.spec.access_key,
        }
        location = f"s3://{self.spec.bucket}/{name}"
        return Store(location, made, environment, {"AWS_SECRET_ACCESS_KEY": self.key}, (self.spec.url,))

    def _place(self) -> Mapping[str, str]:
        return {"AWS_ENDPOINT_URL_S3": self.spec.url, "AWS_DEFAULT_REGION": self.spec.region}

    def _job(self, name: str) -> Workload:
        """Return what sees that a prefix can be written to."""
        user = {"BUCKET": self.spec.bucket, "BUCKET_PREFIX": f"{name}/", "BUCKET_USER": self.spec.access_key}
        return Workload(
            name=f"bucket-{name}",
            artifact=Artifact(lock="s3"),
            processes=(Process("bucket", ("$(BIN)/python", "$(CONFIG)/bucket.py"), memory_mb=256),),
            files=program_files("artifact_store", "bucket.py"),
            environment={**self._place(), **user},
            secrets={"BUCKET_USER_KEY": self.key},
            outside=(self.spec.url,),
        )
