"""The machines of a spec: how each is reached, and what runs on it."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from terrace.spec_base import Model, Name, Problem, refuse
from terrace.spec_host import HostConfiguration

Group = Literal["data", "tracking", "serving", "training", "monitoring"]
HERE = "127.0.0.1"


def _address(value: str) -> str:
    if value == "localhost":
        return value
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise PydanticCustomError("address", "it should be an IPv4 address") from None
    if address.version != 4 and not address.is_loopback:
        raise PydanticCustomError("address", "it should be an IPv4 address")
    if address.is_unspecified:
        raise PydanticCustomError("address", "it should be one address of that machine")
    return value


def _host_key(value: str) -> str:
    kind, _, blob = value.partition(" ")
    try:
        named = base64.b64decode(blob, validate=True)[4 : 4 + len(kind)].decode(errors="replace")
    except ValueError:  # no base64, or no ASCII
        named = ""
    if not kind or named != kind:
        raise PydanticCustomError(
            "host_key", "it should be a host's public key, «type base64», as `ssh-keyscan ADDRESS` shows it"
        )
    return value


HostKey = Annotated[str, AfterValidator(_host_key)]
# What begins with a dash would be an option to ssh.
SshAddress = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]*$", description="Name or IP address.")]
User = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$", description="The account; root, or one with sudo.")]
KeyFile = Annotated[str, Field(pattern=r"^[/~][^\n\"%]*$")]


class Bastion(Model):
    """A machine that a host is reached through."""

    address: SshAddress
    port: int = Field(22, ge=1, le=65535, description="TCP port of its SSH server.")
    user: User
    host_key: HostKey = Field(description="Its public key, «type base64»; no other is accepted.")
    key_file: KeyFile | None = Field(None, description="The private key's file. [default: the host's]")


class Host(Model):
    """A machine that Ansible configures: this one, or another by SSH, with a key and never a password."""

    name: Name = "this-machine"
    address: Annotated[str, AfterValidator(_address)] = Field(
        HERE, description="Its IPv4 address; with several hosts, the one that the others reach it by."
    )
    connection: Literal["local", "ssh"] = Field("local", description="How Ansible reaches it.")
    groups: tuple[Group, ...] = Field((), description="Whose slots it takes; without, those of every group.")
    port: int = Field(22, ge=1, le=65535, description="TCP port of its SSH server.")
    user: User = "root"
    key_file: KeyFile | None = Field(
        None, description="The private key's file on this machine. [default: those of ssh, and its agent]"
    )
    host_key: HostKey | None = Field(
        None, description="The host's public key, «type base64»; no other is accepted. Needed with `connection: ssh`."
    )
    bastion: Bastion | None = Field(None, description="The machine that it is reached through.")
    configure: HostConfiguration = Field(
        HostConfiguration(), description="What of the machine itself is configured; nothing by default."
    )

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.connection == "ssh":
            if self.host_key is None:
                refuse([Problem(("host_key",), "it is needed for SSH: `ssh-keyscan ADDRESS` shows it, check it there")])
            return self
        for option in ("port", "user", "key_file", "host_key", "bastion"):
            if option in self.model_fields_set:
                refuse([Problem((option,), "it is for `connection: ssh` alone")])
        return self

    @property
    def is_here(self) -> bool:
        """Whether it is this machine."""
        return self.connection == "local"

    def document(self) -> dict[str, Any]:
        """Return how it is reached, as the state keeps it."""
        needed = {"name", "address", "connection"}
        rest = {"port", "user", "key_file", "host_key", "bastion"} if not self.is_here else set()
        return self.model_dump(mode="json", include=needed | rest, exclude_none=True)


def host_problems(hosts: Sequence[Host]) -> Iterator[Problem]:
    """Yield what doesn't fit together among the hosts of one spec."""
    for option in ("name", "address"):
        values = [getattr(host, option) for host in hosts]
        for value in dict.fromkeys(values):
            if values.count(value) > 1:
                yield Problem(("hosts",), f"two hosts have the {option} {value!r}")
    if len(hosts) == 1 and hosts[0].is_here and not is_loopback(hosts[0].address):
        yield Problem(
            ("hosts",), f"the address of this machine alone should be {HERE}; another one needs connection: ssh"
        )
    for host in hosts if len(hosts) > 1 else ():
        if is_loopback(host.address):
            yield Problem(
                ("hosts",), f"{host.name} should have an address that the other hosts reach, not {host.address}"
            )
    if sum(host.is_here for host in hosts) > 1:
        yield Problem(("hosts",), "only one host can be this machine; the others need connection: ssh")


def is_loopback(address: str) -> bool:
    """Tell whether no other machine reaches the address."""
    return address == "localhost" or ipaddress.ip_address(address).is_loopback
