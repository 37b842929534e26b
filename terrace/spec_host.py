"""What a user may write of a machine itself. Every part is off until it is written: ``hardening: {}`` turns it on."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from terrace.spec_base import Address, Model, Name

PublicKey = Annotated[
    str, Field(pattern=r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( [^\n]*)?$")
]
Version = Annotated[str, Field(pattern=r"^[0-9][A-Za-z0-9.+~:-]*$")]


def _no_service(account: str) -> str:
    if account.startswith("terrace-"):
        raise PydanticCustomError("account", "it is of a service, which reaches what it has an edge to and no more")
    return account


class Hardening(Model):
    """SSH, kernel settings, file modes, security updates."""

    ssh_passwords: bool = Field(False, description="Whether people may log in by SSH with a password.")
    security_updates: bool = Field(True, description="Whether the distribution's security updates install themselves.")


class Firewall(Model):
    """Only who has an edge to a service in the blueprint's graph reaches its port."""

    allow_users: tuple[Annotated[Name, AfterValidator(_no_service)], ...] = Field(
        (), description="Accounts of people on the machine that reach every service's port, as root does."
    )


class EncryptedData(Model):
    """The platform's folders are encrypted at rest by the machine, or nothing is put there."""


class Time(Model):
    """A clock that is kept right."""

    servers: tuple[Address, ...] = Field((), description="NTP servers; the distribution's where there are none.")


class Users(Model):
    """Admins of the machine, from the team."""

    admins: tuple[Name, ...] = Field(min_length=1, description="People or groups of `team`; each person has ssh_keys.")
    sudo: bool = Field(True, description="Whether they become root by sudo, without a password: they have none.")


class Gpu(Model):
    """NVIDIA's driver, where the machine has an NVIDIA GPU."""

    driver: Version = Field(description="Version of the distribution's package that is pinned.")
    package: Name = Field("nvidia-driver", description="The driver's package; Ubuntu has one per branch.")
    toolkit: Version | None = Field(None, description="Version of `nvidia-cuda-toolkit`; none is installed without.")
    allow_reboot: bool = Field(False, description="Whether the machine is rebooted when the driver has changed.")


class ContainerRuntime(Model):
    """The distribution's containerd, with cgroups as Kubernetes wants them."""


class KubernetesNode(Model):
    """What a machine needs before it can join a Kubernetes cluster: modules, kernel settings, no swap."""


class HostConfiguration(Model):
    """What of a machine is configured beyond the services."""

    hardening: Hardening | None = Field(None, description="Harden SSH, kernel settings, file modes; update itself.")
    firewall: Firewall | None = Field(None, description="Close every port to who has no edge to it in the graph.")
    encrypted_data: EncryptedData | None = Field(
        None, description="Refuse a machine that doesn't encrypt the platform's folders at rest."
    )
    time: Time | None = Field(None, description="Keep the clock right.")
    users: Users | None = Field(None, description="Accounts of admins, from `team`.")
    gpu: Gpu | None = Field(None, description="Install NVIDIA's driver where there is such a GPU.")
    container_runtime: ContainerRuntime | None = Field(None, description="Install containerd.")
    kubernetes_node: KubernetesNode | None = Field(None, description="Prepare the machine for Kubernetes.")
