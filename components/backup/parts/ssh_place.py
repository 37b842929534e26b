"""A place on another machine, reached by SFTP: what the spec says of it, and what the agent needs to get there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from terrace import ssh
from terrace.hosts import HostKey, SshAddress, User
from terrace.spec_base import AbsolutePath, Model
from terrace.ssh_key import SshKey
from terrace.workload import File

FOLDER = "ssh"  # of the agent's configuration
ALIAS = "place"  # what the agent calls the machine
CONFIGURATION = f"""\
Host {ALIAS}
  HostName {{address}}
  Port {{port}}
  User {{user}}
  HostKeyAlias {ALIAS}
  UserKnownHostsFile "$(CONFIG)/{FOLDER}/known_hosts"
  IdentityFile "$(CONFIG)/{FOLDER}/key"
  IdentitiesOnly yes
  IdentityAgent none
{ssh.OPTIONS}"""


class SshPlace(Model):
    """A folder of another machine, reached by SFTP with a key that the platform makes, and never with a password."""

    address: SshAddress
    port: int = Field(22, ge=1, le=65535, description="TCP port of its SSH server.")
    user: User = Field(description="The account there, which needs SFTP and nothing else.")
    host_key: HostKey = Field(description="Its public key, «type base64»; no other is accepted.")
    path: AbsolutePath = Field(description="The folder there, as SFTP shows it; the account may write to it.")

    def __str__(self) -> str:
        """Return it as the agent reads it."""
        return f"{self.user}@{self.address}:{self.path}"

    @property
    def url(self) -> str:
        """Where people find it."""
        return f"sftp://{self.user}@{self.address}:{self.port}{self.path}"


class Way:
    """The way of a platform's hosts to that folder: one key for all of them.

    Attributes:
        packages: The Debian packages that it needs.
        variables: What the agent is told of it.
        files: What ssh is told of it.
        line: What lets the key in there, for SFTP alone: a line of the account's ``authorized_keys``.
    """

    packages = ("openssh-client",)
    variables: ClassVar[Mapping[str, str]] = {"BACKUP_SSH": f"$(CONFIG)/{FOLDER}"}

    def __init__(self, place: SshPlace, key: SshKey, environment: str) -> None:
        self.line = key.public.apply(lambda public: authorized_key(public, environment))
        self.files = (
            *(File(f"{FOLDER}/{name}", text) for name, text in configuration(place).items()),
            File(f"{FOLDER}/key", key.key),
        )


def configuration(place: SshPlace) -> dict[str, str]:
    """Return what ssh is told of the machine, by the file's name."""
    return {
        "config": CONFIGURATION.format(address=place.address, port=place.port, user=place.user),
        "known_hosts": f"{ALIAS} {place.host_key}\n",
    }


def authorized_key(public: str, environment: str) -> str:
    """Return the line of ``authorized_keys`` that lets a public key in for SFTP alone."""
    return f'restrict,command="internal-sftp" {public} terrace-{environment}'
