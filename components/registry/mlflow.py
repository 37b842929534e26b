"""MLflow's model registry.

Provides the registry that the tracking server holds, so it runs nothing of its own. Leaves out a registry apart
from tracking, which MLflow supports and a single machine does not need.

Upstream: https://mlflow.org/docs/latest/ml/model-registry/, written for MLflow 3.17.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from components.base import Component, FlavorSpec, Inputs
from components.registry import RegistryOutputs
from components.tracking import TrackingOutputs


class MLflowRegistrySpec(FlavorSpec):
    """The registry follows the tracking server and has no options of its own."""

    flavor: Literal["mlflow"] = "mlflow"


class MLflowRegistry(Component[MLflowRegistrySpec, RegistryOutputs]):
    """The tracking server's registry."""

    token: ClassVar[str] = "terrace:registry:MLflow"
    spec_type: ClassVar[type[FlavorSpec]] = MLflowRegistrySpec
    requires: ClassVar[tuple[str, ...]] = ("tracking",)
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")

    def build(self, spec: MLflowRegistrySpec, inputs: Inputs) -> RegistryOutputs:
        """Name the tracking server as the registry."""
        tracking = inputs.of("tracking", TrackingOutputs)
        accounts = tracking.accounts
        return RegistryOutputs(tracking.url, tracking.public_url, accounts["serving"], accounts["reader"])
