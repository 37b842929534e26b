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

from . import history, places
from .errors import DeploymentError, RegistryAwayError

LOG = logging.getLogger(__name__)
TAG = "terrace.serving"
ERROR_LENGTH = 2000


class Registry:
    """MLflow's registry; MLflow takes its address and account from its own environment variables.

    Args:
        alias: The alias of the version in production.
        candidate: The alias of the version that is served beside it.
    """

    def __init__(self, alias: str, candidate: str) -> None:
        self._alias = alias
        self._candidate = candidate
        self._client = MlflowClient()
        self._tags: dict[str, dict[str, str]] = {}

    def pinned(self) -> dict[str, str]:
        """Return the version that is to be served, by the name that it is served under.

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
                self._tags[model.name] = dict(model.tags)
                for alias, place in ((self._alias, model.name), (self._candidate, places.candidate(model.name))):
                    if alias in model.aliases:
                        versions[place] = str(model.aliases[alias])
            token = page.token or ""
        return versions

    def download(self, place: str, version: str, folder: Path) -> None:
        """Put the version's files into ``folder``.

        Raises:
            DeploymentError: They cannot be had.
        """
        try:
            download_artifacts(artifact_uri=f"models:/{places.model_of(place)}/{version}", dst_path=str(folder))
        except Exception as error:  # MLflow promises no particular exception here
            raise DeploymentError(f"the version's files cannot be downloaded: {error}") from error

    def report(self, place: str, version: str, state: Literal["deploying", "ready", "failed"], error: str = "") -> None:
        """Say in the version's tags how its deployment stands; a registry that is away is only logged."""
        tags = {"state": state, "error": error[:ERROR_LENGTH], "at": datetime.now(UTC).isoformat("T", "seconds")}
        try:
            for key, value in tags.items():
                self._client.set_model_version_tag(places.model_of(place), version, f"{_tag(place)}.{key}", value)
        except MlflowException as problem:
            LOG.warning("%s version %s: its state %s cannot be recorded: %s", place, version, state, problem)

    def own(self, name: str, use_case: str, owner: str) -> bool:
        """Say in the model's tags whose it is, and return whether that is recorded now."""
        try:
            self._client.set_registered_model_tag(name, "terrace.use_case", use_case)
            self._client.set_registered_model_tag(name, "terrace.owner", owner)
        except MlflowException as problem:
            LOG.warning("%s: its owner cannot be recorded: %s", name, problem)
            return False
        return True

    def forget(self, place: str, version: str) -> None:
        """Say that a version is served no more; it may be gone itself. Deleting tags takes a right to delete models."""
        try:
            self._client.set_model_version_tag(places.model_of(place), version, f"{_tag(place)}.state", "retired")
        except MlflowException as problem:
            LOG.info("%s version %s: its state stays recorded: %s", place, version, problem)

    def record(self, model: str, version: str) -> None:
        """Add what is in production to the model's history, where that changed; the next look tries once more."""
        tags = self._tags.get(model, {})
        moves = history.read(tags)
        if moves and moves[-1].version == version:
            return
        value = history.write(history.moved(tags, version, datetime.now(UTC).isoformat("T", "seconds")))
        try:
            self._client.set_registered_model_tag(model, history.HISTORY_TAG, value)
        except MlflowException as problem:
            LOG.warning("%s: its history cannot be recorded: %s", model, problem)

    def histories(self) -> dict[str, tuple[history.Move, ...]]:
        """Return the models' histories, as they were at the last look."""
        return {model: history.read(tags) for model, tags in self._tags.items()}

    def before(self, model: str) -> str | None:
        """Return the version that a rollback of the model would go back to."""
        return history.before(history.read(self._tags.get(model, {})))


def _tag(place: str) -> str:
    return f"{TAG}.{places.CANDIDATE}" if places.is_candidate(place) else TAG
