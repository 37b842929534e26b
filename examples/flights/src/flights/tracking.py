"""MLflow: runs that say what was tried, and a registered version that says all that it came from."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from flights.errors import ServiceError
from flights.model import TRUSTED_TYPES
from flights.runs import Run
from flights.schedule import CATEGORIES
from flights.settings import CONFIGURATION, LOCK, MLFLOW_VARIABLES, Configuration, file_hash, require

EXPERIMENT = "flights"
SERVING_LOCK = Path("serving/requirements.txt")
REFERENCE = "reference.csv"  # what the platform's watch over drift compares served predictions with


def connect() -> mlflow.MlflowClient:
    """Return a client; MLflow reads its address, account, and certificate from ``MLFLOW_*`` itself."""
    mlflow.set_tracking_uri(require(MLFLOW_VARIABLES)["MLFLOW_TRACKING_URI"])
    return mlflow.MlflowClient()


@contextlib.contextmanager
def run(pipeline: Run, name: str, *, nested: bool = False, run_id: str | None = None) -> Iterator[str]:
    """Open an MLflow run that belongs to a pipeline run; yield its id.

    Raises:
        ServiceError: MLflow doesn't answer or refuses the account.
    """
    connect()
    tags = {"pipeline.name": pipeline.pipeline, "pipeline.run_id": pipeline.id, "git.commit": pipeline.commit}
    with answering():
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_id=run_id, run_name=name, nested=nested, tags=tags) as active:
            yield str(active.info.run_id)


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """Name the service in MLflow's errors."""
    try:
        yield
    except mlflow.MlflowException as error:
        raise ServiceError(
            "MLflow refused",
            where=mlflow.get_tracking_uri(),
            why=str(error),
            fix="check that the platform is up (terrace status) and the MLFLOW_TRACKING_* variables",
        ) from error


def log(parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> None:
    """Log to the open run."""
    mlflow.log_params(dict(parameters))
    mlflow.log_metrics(dict(metrics))


def artifact(path: Path) -> None:
    """Keep a file with the open run."""
    mlflow.log_artifact(str(path))


def evaluation_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """Return an evaluation as flat metrics: ``test_auc``, ``test_auc_2013_07``, ``baseline_auc``, and so on."""
    metrics: dict[str, float] = {"test_rows": report["rows"], "unlabelled_flights": report["unlabelled"]}
    for name, prefix in (("model", "test"), ("baseline", "baseline")):
        metrics[f"{prefix}_auc"] = report[name]["auc"]
        metrics[f"{prefix}_brier"] = report[name]["brier"]
        for month, value in report[name]["auc_by_month"].items():
            metrics[f"{prefix}_auc_{month.replace('-', '_')}"] = value
    return metrics


def register(pipeline: Run, configuration: Configuration, model: Any, example: pd.DataFrame) -> str:
    """Log the model and the files of its lineage to the training run, and register it.

    Returns:
        The version's number.
    """
    evaluation = pipeline.read("evaluation")
    with run(pipeline, "train", run_id=pipeline.read("train")["run_id"]) as run_id:
        for path in (
            CONFIGURATION,
            LOCK,
            pipeline.file("profile.json"),
            pipeline.file("data.dvc"),
            pipeline.file(REFERENCE),
        ):
            artifact(path)
        mlflow.log_text(model_card(pipeline, configuration, evaluation), "model-card.md")
        logged = mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=TRUSTED_TYPES,
            pyfunc_predict_fn="predict_proba",
            pip_requirements=str(SERVING_LOCK),
            signature=signature(list(example.columns)),
            input_example=example,
        )
        tags = lineage(pipeline, evaluation, run_id)
        registered = mlflow.register_model(logged.model_uri, configuration.model_name, tags=tags)
        return str(registered.version)


def signature(columns: list[str]) -> ModelSignature:
    """Return what the model takes, a text or a number (missing allowed) a column, and gives: two probabilities."""
    inputs = [ColSpec(DataType.string if name in CATEGORIES else DataType.double, name) for name in columns]
    return ModelSignature(Schema(inputs), Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))


def lineage(pipeline: Run, evaluation: Mapping[str, Any], run_id: str) -> dict[str, str]:
    """Return the tags of a version: the data, the code, the libraries, the configuration, the run, the result."""
    data = pipeline.read("version")
    report = hashlib.sha256(pipeline.file("evaluation.json").read_bytes()).hexdigest()
    return {
        "lineage.data_hash": data["data_hash"],
        "lineage.git_commit": pipeline.commit,
        "lineage.lock_hash": file_hash(LOCK),
        "lineage.serving_lock_hash": file_hash(SERVING_LOCK),
        "lineage.configuration_hash": file_hash(CONFIGURATION),
        "lineage.pipeline_run_id": pipeline.id,
        "lineage.run_id": run_id,
        "lineage.search_run_id": pipeline.read("train")["search_run_id"],
        "lineage.evaluation_hash": report,
        "lineage.test_auc": f"{evaluation['model']['auc']:.6f}",
        "lineage.baseline_auc": f"{evaluation['baseline']['auc']:.6f}",
    }


def model_card(pipeline: Run, configuration: Configuration, evaluation: Mapping[str, Any]) -> str:
    """Return the model's card in Markdown, with the numbers of this run."""
    model, baseline = evaluation["model"], evaluation["baseline"]
    months = "\n".join(
        f"| {month} | {value:.3f} | {baseline['auc_by_month'][month]:.3f} |"
        for month, value in model["auc_by_month"].items()
    )
    strongest = ", ".join(f"{name} ({loss:.3f})" for name, loss in list(evaluation["importance"].items())[:6])
    return f"""# {configuration.model_name}
Gives the probability that a flight from EWR, JFK, or LGA arrives over 15 minutes late, two hours before it is to leave.

- **Meant for** telling travellers and ground staff ahead of time. **Not for** deciding about safety, crews, or people.
- **Trained on** {pipeline.read("train")["rows"]:,} flights of {configuration.split["train_from"]} up to \
{configuration.split["test_from"]} (not included); **judged on** {evaluation["rows"]:,} later ones, of which \
{evaluation["late_share"]:.1%} were late.
- **Left out**: {evaluation["unlabelled"]:,} flights without a recorded arrival (cancelled or diverted), so the model
  says nothing about cancellation.
- **AUC** {model["auc"]:.4f} (schedule alone: {baseline["auc"]:.4f}); **Brier score** {model["brier"]:.4f} \
({baseline["brier"]:.4f}).
- **Matters most** (AUC lost when shuffled): {strongest}.
- **Limits**: one year, three airports of one city; late summers and winters differ from the spring it learned from.

| month | AUC | schedule alone |
|---|---|---|
{months}
"""


def data_pointer(name: str, version: str) -> str:
    """Return the text of the ``.dvc`` file that a version's run kept.

    Raises:
        ServiceError: There is no such version, or MLflow doesn't answer.
    """
    client = connect()
    with answering():
        run_id = client.get_model_version(name, version).run_id
        return str(mlflow.artifacts.load_text(f"runs:/{run_id}/data.dvc"))
