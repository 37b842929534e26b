"""Slot ``tracking``: runs with their parameters, metrics, and artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.base import Account, SlotOutputs, ports_of


@dataclass(frozen=True)
class TrackingOutputs(SlotOutputs):
    """What the slot gives.

    Args:
        url: Where other services of the platform reach it.
        public_url: Where people and projects reach it, through the gateway.
        ca_file: The certificate that clients of ``public_url`` trust, a path on the host.
        accounts: ``admin`` for people, and one account for each service that uses it.
    """

    url: str
    public_url: str
    ca_file: str
    accounts: Mapping[str, Account]

    def ports(self) -> tuple[int, ...]:
        """Return the port of ``url``."""
        return ports_of(self.url)

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Return the public address."""
        return {"tracking": self.public_url}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Return MLflow's own variables, with the account that projects use."""
        account = self.accounts["projects"]
        return {
            "MLFLOW_TRACKING_URI": self.public_url,
            "MLFLOW_TRACKING_USERNAME": account.user,
            "MLFLOW_TRACKING_PASSWORD": account.password,
            "MLFLOW_TRACKING_SERVER_CERT_PATH": self.ca_file,
        }

    def credentials(self) -> Mapping[str, Account]:
        """Return the account that people administer MLflow with."""
        return {"tracking": self.accounts["admin"]}
