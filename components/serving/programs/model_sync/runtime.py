"""MLServer's MLflow runtime, whose answers name the registry's version.

The served version is loaded without a version of its own (``sync`` says why), so MLServer has none to put into
its answers.
"""

from __future__ import annotations

from mlserver.types import InferenceRequest, InferenceResponse
from mlserver_mlflow import MLflowRuntime


class RegistryRuntime(MLflowRuntime):  # type: ignore[misc]  # MLServer's runtimes carry no types
    """An MLflow model from the registry."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Return the model's answer with the registry's version in it."""
        response = await super().predict(payload)
        response.model_version = self.settings.parameters.extra["registry_version"]
        return response
