"""Clients of the registry for people's commands; which one follows from what the platform gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from components.registry.clients.mlflow import MLflowModels
from terrace.errors import InputError


def connect(outputs: Mapping[str, Any]) -> MLflowModels:
    """Return a client of the registry of a platform that is up, by the account of people.

    Args:
        outputs: The stack's outputs, secrets shown.

    Raises:
        InputError: The platform has no registry that this knows, or is not up.
    """
    connection, credentials = outputs.get("connection", {}), outputs.get("credentials", {})
    if "MLFLOW_TRACKING_URI" not in connection or "tracking" not in credentials:
        raise InputError("the platform has no model registry", fix="bring it up first: terrace up <env>")
    account = credentials["tracking"]
    return MLflowModels(
        connection["MLFLOW_TRACKING_URI"], account["user"], account["password"], connection.get("TERRACE_CA_FILE")
    )
