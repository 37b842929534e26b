"""Putting a version into production: move the alias, wait for the platform, ask, and step back if it went wrong."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import mlflow
import numpy as np
import pandas as pd

from flights import tracking
from flights.errors import DeploymentError
from flights.inference import Platform
from flights.settings import Gateway

ALIAS = "production"
STATE_TAG = "terrace.serving.state"
REQUEST_TAG = "terrace.serving.request"  # the platform's history of the model says who moved the alias
ERROR_TAG = "terrace.serving.error"
DEPLOY_SECONDS = 900
POLL_SECONDS = 2
TOLERANCE = 1e-9


def promote(name: str, version: str, model: Any, rows: pd.DataFrame) -> float:
    """Give a version the alias that deploys it, and compare its served answers with the model's own.

    Args:
        name: The registered model.
        version: The version to serve.
        model: The same model in this process.
        rows: Rows to ask for.

    Returns:
        The largest difference between a served answer and the model's own.

    Raises:
        DeploymentError: It isn't served, or other answers are; the alias is back where it was.
    """
    client = tracking.connect()
    before = current(client, name)
    who = {"version": version, "by": f"pipeline run {os.environ.get('PIPELINE_RUN_ID', 'by hand')}", "how": "gate"}
    with tracking.answering():
        client.set_registered_model_tag(name, REQUEST_TAG, json.dumps(who))
        client.set_registered_model_alias(name, ALIAS, version)
    try:
        platform = Platform(Gateway.from_environment())
        wait_until_ready(client, platform, name, version)
        served, _ = platform.predict(name, rows)
        difference = float(np.max(np.abs(np.array(served) - model.predict_proba(rows)[:, 1])))
        check_difference(name, difference)
    except BaseException:  # whatever it is, an interrupt too: an unproven version must not stay
        _step_back(client, name, before)
        raise
    return difference


def current(client: mlflow.MlflowClient, name: str) -> str | None:
    """Return the version that has the alias, if one has."""
    with tracking.answering():
        version = client.get_registered_model(name).aliases.get(ALIAS)
    return None if version is None else str(version)


def wait_until_ready(client: mlflow.MlflowClient, platform: Platform, name: str, version: str) -> None:
    """Wait for the platform's word that it serves the version.

    Raises:
        DeploymentError: It said that it can't, or said nothing in time.
    """
    deadline = time.monotonic() + DEPLOY_SECONDS
    while time.monotonic() < deadline:
        with tracking.answering():
            tags = client.get_model_version(name, version).tags
        if tags.get(STATE_TAG) == "failed":
            raise DeploymentError(
                "the platform could not serve it", where=f"{name} version {version}", why=tags.get(ERROR_TAG, "")
            )
        if tags.get(STATE_TAG) == "ready" and platform.ready(name):
            return
        time.sleep(POLL_SECONDS)
    raise DeploymentError(
        f"not served after {DEPLOY_SECONDS} s",
        where=f"{name} version {version}",
        why=f"the tag {STATE_TAG} is {tags.get(STATE_TAG)!r}",
        fix="look at the log of the platform's serving",
    )


def check_difference(name: str, difference: float) -> None:
    """Refuse served answers that are not the model's own.

    Raises:
        DeploymentError: They differ by more than 1e-9.
    """
    if not difference <= TOLERANCE:
        raise DeploymentError(
            f"served answers differ from the model's own by {difference:.3g}",
            where=name,
            why="another version, other libraries, or other features than the model's",
            fix="compare the serving environment with serving/requirements.txt",
        )


def _step_back(client: mlflow.MlflowClient, name: str, before: str | None) -> None:
    if before is None:
        client.delete_registered_model_alias(name, ALIAS)
    else:
        client.set_registered_model_alias(name, ALIAS, before)
