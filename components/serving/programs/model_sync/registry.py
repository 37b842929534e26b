"""The model registry, as far as deploying needs it: which versions carry the alias, their files, their state."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

# MLflow's own patience with a registry that is away is minutes; the next look is seconds off.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.exceptions import MlflowException

from .errors import DeploymentError, RegistryAwayError

LOG = logging.getLogger(__name__)
TAG = "terrace.serving"
ERROR_LENGTH = 2000


class Registry:
    """MLflow's registry; MLflow takes its address and account from its own environment variables."""

    def __init__(self, alias: str) -> None:
        self._alias = alias
        self._client = MlflowClient()

    def pinned(self) -> dict[str, str]:
        """Return the version that carries the alias, by model name.

        Raises:
            RegistryAwayError: It gives no answer.
        """
        versions: dict[str, str] = {}
        token: str | None = None
        while token != "":
            try:
                page = self._client.search_registered_models(max_results=100, page_token=token)
            except Exception as error:  # what MLflow raises here depends on how far the request came
                raise RegistryAwayError(str(error)) from error
            for model in page:
                if self._alias in model.aliases:
                    versions[model.name] = str(model.aliases[self._alias])
            token = page.token or ""
        return versions

    def download(self, name: str, version: str, folder: Path) -> None:
        """Put the version's files into ``folder``.

        Raises:
            DeploymentError: They cannot be had.
        """
        try:
            download_artifacts(artifact_uri=f"models:/{name}/{version}", dst_path=str(folder))
        except Exception as error:  # MLflow promises no particular exception here
            raise DeploymentError(f"the version's files cannot be downloaded: {error}") from error

    def report(self, name: str, version: str, state: Literal["deploying", "ready", "failed"], error: str = "") -> None:
        """Say in the version's tags how its deployment stands; a registry that is away is only logged."""
        tags = {"state": state, "error": error[:ERROR_LENGTH], "at": datetime.now(UTC).isoformat("T", "seconds")}
        try:
            for key, value in tags.items():
                self._client.set_model_version_tag(name, version, f"{TAG}.{key}", value)
        except MlflowException as problem:
            LOG.warning("%s version %s: its state %s cannot be recorded: %s", name, version, state, problem)

    def own(self, name: str, use_case: str, owner: str) -> bool:
        """Say in the model's tags whose it is, and return whether that is recorded now."""
        try:
            self._client.set_registered_model_tag(name, "terrace.use_case", use_case)
            self._client.set_registered_model_tag(name, "terrace.owner", owner)
        except MlflowException as problem:
            LOG.warning("%s: its owner cannot be recorded: %s", name, problem)
            return False
        return True

    def forget(self, name: str, version: str) -> None:
        """Remove what was reported about a version that is served no more; it may be gone itself."""
        try:
            for key in ("state", "error", "at"):
                self._client.delete_model_version_tag(name, version, f"{TAG}.{key}")
        except MlflowException as problem:
            LOG.info("%s version %s: its state stays recorded: %s", name, version, problem)
