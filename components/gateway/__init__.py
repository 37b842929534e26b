"""Slot ``gateway``: the one entrance, with TLS, and authentication for what has none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Account, SlotOutputs

AUDIT_TOKEN = "audit-token.conf"  # in a cluster, nginx's header by which the audit log knows the gateway


@dataclass(frozen=True)
class GatewayOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        host: The name or IP address that it is reached by.
        port: Its TCP port.
        ca_file: The certificate that clients trust, a path on the host.
        account: The account that people and projects pass it with.
        inside: The name or IP address that it is reached by from within the platform.
        service: Name of the service that serves folders.
        resource: What makes it, for what needs its user.
    """

    host: str
    port: int
    ca_file: str
    account: Account
    inside: str
    service: str
    resource: pulumi.Resource

    @property
    def address(self) -> str:
        """Host and port, as in a Host header."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The entrance's address, without a slash at its end."""
        return f"https://{self.address}"

    def from_within(self, variables: Mapping[str, pulumi.Input[str]]) -> dict[str, pulumi.Input[str]]:
        """Return the variables of a project with addresses that the platform's own services reach.

        What people use may lead to the entrance from outside alone.
        """
        inside = f"https://{self.inside}:{self.port}"
        return {
            name: value.replace(self.url, inside, 1) if isinstance(value, str) and value.startswith(self.url) else value
            for name, value in variables.items()
        }

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the entrance."""
        return {"gateway": f"{self.url}/"}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return what a client needs to pass the entrance."""
        return {
            "TERRACE_GATEWAY_URL": self.url,
            "TERRACE_GATEWAY_USER": self.account.user,
            "TERRACE_GATEWAY_PASSWORD": self.account.password,
            "TERRACE_CA_FILE": self.ca_file,
        }

    def credentials(self) -> Mapping[str, Account]:
        """Return the account that the entrance asks for."""
        return {"gateway": self.account}
