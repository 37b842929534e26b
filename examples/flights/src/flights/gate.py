"""What a version must have before it may be served: a good model, and all that says where it comes from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow

from flights import cards, tracking
from flights.errors import GateError
from flights.settings import Configuration

TAGS = (
    "git_commit",
    "data_hash",
    "lock_hash",
    "serving_lock_hash",
    "configuration_hash",
    "pipeline_run_id",
    "run_id",
    "search_run_id",
    "evaluation_hash",
)
CARD = "card/model-card.json"
ARTIFACTS = (
    "configuration.yaml",
    "uv.lock",
    "data.dvc",
    "profile.json",
    "evaluation.json",
    "importance.json",
    "importance.svg",
    CARD,
    "card/model-card.md",
    "card/model-card.html",
)
# Kept file → the tag that holds its SHA-256.
HASHED = {"configuration.yaml": "configuration_hash", "uv.lock": "lock_hash", "evaluation.json": "evaluation_hash"}
LOGS = "logs"


def check_quality(evaluation: Mapping[str, Any], configuration: Configuration) -> None:
    """Refuse a model below the gate's AUC, or not enough above the baseline.

    Raises:
        GateError: With every reason.
    """
    auc, baseline = evaluation["model"]["auc"], evaluation["baseline"]["auc"]
    gate = configuration.gate
    reasons = []
    if not auc >= gate["minimum_auc"]:  # not "<", which lets NaN pass
        reasons.append(f"AUC {auc:.4f} is below {gate['minimum_auc']}")
    if not auc >= baseline + gate["minimum_gain"]:
        reasons.append(f"AUC {auc:.4f} is not {gate['minimum_gain']} above the baseline's {baseline:.4f}")
    if reasons:
        raise GateError(
            "the model may not be served",
            where="gate",
            why="; ".join(reasons),
            fix="look at the run's evaluation.json; the alias has not been moved",
        )


def check_version(name: str, version: str) -> None:
    """Ask the registry for everything that a version must hold, and compare the kept files with their hashes.

    Raises:
        GateError: With all that is missing or doesn't fit.
        ServiceError: There is no such version, or MLflow doesn't answer.
    """
    client = tracking.connect()
    with tracking.answering():
        found = client.get_model_version(name, version)
        owner = client.get_registered_model(name).tags.get("owner")
        reasons = [] if owner else ["the registered model has no owner"]
        reasons += [f"no tag lineage.{tag}" for tag in TAGS if not _said(found.tags.get(f"lineage.{tag}"))]
        reasons += _of_run(client, found) if found.run_id else ["it comes from no run"]
    if reasons:
        raise GateError(
            "the version may not be served",
            where=f"{name} version {version}",
            why="; ".join(reasons),
            fix="register it by the pipeline's step register; the alias has not been moved",
        )


def _said(value: str | None) -> bool:
    return value not in cards.NOTHING


def _of_run(client: mlflow.MlflowClient, version: Any) -> Iterator[str]:
    """Yield what the version's run lacks."""
    run = client.get_run(version.run_id)
    if not run.data.params:
        yield "its run has no parameters"
    there = set(_files(client, version.run_id))
    absent = [path for path in ARTIFACTS if path not in there]
    yield from (f"its run has no {path}" for path in absent)
    if not any(path.startswith(f"{LOGS}/") for path in there):
        yield "its run has no logs"
    for path, tag in HASHED.items():
        if path in there and _hash(version.run_id, path) != version.tags.get(f"lineage.{tag}"):
            yield f"{path} is not the file that lineage.{tag} names"
    if CARD in there:
        lacking = cards.missing(json.loads(_text(version.run_id, CARD)))
        yield from (f"its card lacks {part}" for part in lacking)


def _files(client: mlflow.MlflowClient, run_id: str) -> Iterator[str]:
    for folder in ("", "card", LOGS):
        yield from (item.path for item in client.list_artifacts(run_id, folder or None) if not item.is_dir)


def _hash(run_id: str, path: str) -> str:
    local = mlflow.artifacts.download_artifacts(f"runs:/{run_id}/{path}")
    return hashlib.sha256(Path(local).read_bytes()).hexdigest()


def _text(run_id: str, path: str) -> str:
    return str(mlflow.artifacts.load_text(f"runs:/{run_id}/{path}"))
