"""MLServer's MLflow runtime, whose answers name the registry's version and are kept.

The served version is loaded without a version of its own (``sync`` says why), so MLServer has none to put into
its answers.
"""

from __future__ import annotations

from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_mlflow import MLflowRuntime

from .records import Keeper


class RegistryRuntime(MLflowRuntime):  # type: ignore[misc]  # MLServer's runtimes carry no types
    """An MLflow model from the registry."""

    async def load(self) -> bool:
        """Load the model, and what its predictions are kept by."""
        self._keeper = Keeper.of(self.settings.name)
        return bool(await super().load())

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the model's answer with the registry's version in it, once it is kept."""
        response = await super().predict(payload)
        version = self.settings.parameters.extra["registry_version"]
        response.model_version = version
        if self._keeper:
            self._keeper.keep(self.settings.name, version, payload, response)
        return response
