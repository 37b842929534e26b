"""What a user may write of a Kubernetes cluster. The cluster itself is there already; Terrace makes none."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from terrace.spec_base import Address, Model, Name

SlotName = Annotated[str, Field(pattern=r"^[a-z_]+$")]
DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
DnsName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
LabelKey = Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")]
CONTROL_PLANE = ("default", "kube-node-lease", "kube-public", "kube-system")


def _own_namespace(value: str) -> str:
    if value in CONTROL_PLANE:
        raise PydanticCustomError("namespace", "it is the cluster's own; the platform's holds nothing else")
    return value


def _network(value: str) -> str:
    try:
        return str(ipaddress.IPv4Network(value))
    except ValueError:
        raise PydanticCustomError("network", "it should be an IPv4 network, as 10.20.0.0/16") from None


class Pool(Model):
    """Nodes of one kind."""

    labels: Mapping[LabelKey, LabelValue] = Field(min_length=1, description="Labels that all of its nodes have.")
    tolerates: tuple[LabelKey, ...] = Field(
        (), description="Keys of the taints that keep other pods from its nodes, as `dedicated`."
    )


class Placed(Model):
    """On which nodes a slot's pods are, and what of them they get."""

    pool: Name | None = Field(None, description="One of `kubernetes.pools`; without, any node.")
    accelerators: int = Field(
        0,
        ge=0,
        le=64,
        description="Accelerators, as GPUs, of the process that computes: pipelines, serving, or each workbench.",
    )


class TeamNamespace(Model):
    """A group's own namespace in the cluster, and how much its pods may take together."""

    cores: int = Field(16, ge=1, description="CPU cores that its pods may ask for.")
    memory_gb: int = Field(64, ge=1, description="Memory (GiB) that its pods may ask for, and take.")
    storage_gb: int = Field(200, ge=0, description="Size (GiB) of its volumes.")
    pods: int = Field(50, ge=1, description="Pods, ended ones left out.")
    accelerators: int = Field(0, ge=0, description="Accelerators that its pods may ask for.")


class Kubernetes(Model):
    """The cluster that the platform runs on, with target `kubernetes`."""

    kubeconfig: str | None = Field(
        None, min_length=1, description="Path of the kubeconfig; by default $KUBECONFIG, else ~/.kube/config."
    )
    context: str | None = Field(None, min_length=1, description="Context in it; by default its current one.")
    namespace: Annotated[DnsLabel, AfterValidator(_own_namespace)] | None = Field(
        None, description="Namespace of its own that everything is in; by default `<name>-<environment>`."
    )
    storage_class: DnsName | None = Field(None, description="Of volumes; by default the cluster's default one.")
    pull_secret: DnsName | None = Field(
        None, description="Secret in the namespace, made by hand, with the account of a private image registry."
    )
    entrance: Literal["ClusterIP", "LoadBalancer"] = Field(
        "ClusterIP", description="Type of the gateway's Service; with ClusterIP people come by `kubectl port-forward`."
    )
    address: Address | None = Field(
        None, description="Name or IP address that people reach the gateway by; by default its name in the cluster."
    )
    outside_networks: tuple[Annotated[str, AfterValidator(_network)], ...] = Field(
        (),
        description="IPv4 networks outside of the cluster that services may connect to which install packages or use a "
        "store there; by default all but private ones.",
    )
    user_prefix: str = Field(
        "", description="What the cluster's authentication puts before a person's name, as `oidc:`."
    )
    accelerator: str = Field(
        "nvidia.com/gpu",
        pattern=r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$",
        description="What the cluster calls its accelerators.",
    )
    pools: Mapping[Name, Pool] = Field(default_factory=dict, description="Kinds of nodes, by a name of your own.")
    placed: Mapping[SlotName, Placed] = Field(
        default_factory=dict, description="Slots whose pods are on nodes of a pool, or have accelerators."
    )
    teams: Mapping[Name, TeamNamespace] = Field(
        default_factory=dict,
        description="Groups of `team.groups` with a namespace of their own for their work, `<namespace>-team-<group>`.",
    )
