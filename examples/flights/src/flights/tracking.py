"""MLflow: runs that say what was tried, and a registered version that says all that it came from."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema, TensorSpec

from flights import cards, charts
from flights.errors import ServiceError
from flights.model import TRUSTED_TYPES
from flights.runs import Run
from flights.schedule import CATEGORIES
from flights.settings import CONFIGURATION, LOCK, MLFLOW_VARIABLES, Configuration, file_hash, require
from flights.usecase import UseCase

EXPERIMENT = "flights"
SERVING_LOCK = Path("serving/requirements.txt")
REFERENCE = "reference.csv"  # what the platform's watch over drift compares served predictions with…
EVALUATION = "evaluation.csv"  # …and those whose labels have come


def connect() -> mlflow.MlflowClient:
    """Return a client; MLflow reads its address, account, and certificate from ``MLFLOW_*`` itself."""
    mlflow.set_tracking_uri(require(MLFLOW_VARIABLES)["MLFLOW_TRACKING_URI"])
    return mlflow.MlflowClient()


@contextlib.contextmanager
def run(pipeline: Run, name: str, *, nested: bool = False, run_id: str | None = None) -> Iterator[str]:
    """Open an MLflow run that belongs to a pipeline run and says what it comes from; yield its id.

    Raises:
        FlightsError: The data has no version yet, so that no run could name it.
        ServiceError: MLflow doesn't answer or refuses the account.
    """
    connect()
    tags = {"pipeline.name": pipeline.pipeline, "pipeline.run_id": pipeline.id}
    tags |= {f"lineage.{name}": value for name, value in origin(pipeline).items()}
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


def log_data(content: Mapping[str, Any], path: str) -> None:
    """Keep data as a JSON file with the open run."""
    mlflow.log_dict(dict(content), path)


def evaluation_metrics(report: Mapping[str, Any]) -> dict[str, float]:
    """Return an evaluation as flat metrics: ``test_auc``, ``test_auc_2013_07``, ``baseline_auc``, and so on."""
    metrics: dict[str, float] = {"test_rows": report["rows"], "unlabelled_flights": report["unlabelled"]}
    for name, prefix in (("model", "test"), ("baseline", "baseline")):
        metrics[f"{prefix}_auc"] = report[name]["auc"]
        metrics[f"{prefix}_brier"] = report[name]["brier"]
        for month, value in report[name]["auc_by_month"].items():
            metrics[f"{prefix}_auc_{month.replace('-', '_')}"] = value
    return metrics


def compare(trials: Sequence[Mapping[str, Any]], best: Mapping[str, Any]) -> None:
    """Keep the comparison of a search's trials with the open run, as a table and a plot, and mark the chosen one."""
    ranked = sorted(trials, key=lambda trial: -float(trial["validation_auc"]))
    table = pd.DataFrame(
        [
            {
                "rank": rank,
                "trial": trial["name"],
                "chosen": trial is best,
                "validation_auc": trial["validation_auc"],
                **trial["parameters"],
                "run_id": trial["run_id"],
            }
            for rank, trial in enumerate(ranked, start=1)
        ]
    )
    mlflow.log_table(table, "comparison.json")
    scores = {trial["name"] + (" (chosen)" if trial is best else ""): trial["validation_auc"] for trial in ranked}
    mlflow.log_text(charts.bars("AUC on the validation months", scores), "comparison.svg")
    mlflow.set_tag("search.chosen_run_id", best["run_id"])
    client = mlflow.MlflowClient()
    for trial in trials:
        client.set_tag(trial["run_id"], "search.chosen", str(trial is best).lower())


def log_importance(importance: Mapping[str, Mapping[str, float]]) -> None:
    """Keep a model's global importance with the open run: as JSON, and as a plot."""
    mlflow.log_dict(dict(importance), "importance.json")
    mlflow.log_text(charts.importance(importance), "importance.svg")


def register(pipeline: Run, configuration: Configuration, model: Any, example: pd.DataFrame) -> str:
    """Log the model and the files of its lineage to the training run, and register it with its card and owner.

    Returns:
        The version's number.

    Raises:
        GateError: The card isn't complete; the version stays without it and can't be promoted.
    """
    use_case = UseCase.from_environment(configuration.use_case)
    with run(pipeline, "train", run_id=pipeline.read("train")["run_id"]) as run_id:
        for path in (
            CONFIGURATION,
            LOCK,
            pipeline.file("profile.json"),
            pipeline.file("data.dvc"),
            pipeline.file(REFERENCE),
        ):
            artifact(path)
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
        tags = lineage(pipeline, run_id)
        registered = mlflow.register_model(logged.model_uri, configuration.model_name, tags=tags)
        own(configuration.model_name, use_case)
        version = str(registered.version)
        card = cards.make_card(pipeline, configuration, use_case, {**tags, "lineage.version": version})
        log_card(card)
        logs(pipeline)
        cards.refuse_incomplete(card)
        return version


def own(name: str, use_case: UseCase) -> None:
    """Tell the registry whose the model is and what it is for."""
    client = mlflow.MlflowClient()
    for tag in ("owner", "kpi", "intended_use", "risk_class"):
        client.set_registered_model_tag(name, tag, getattr(use_case, tag))


def tag_version(name: str, version: str, tags: Mapping[str, str]) -> None:
    """Tell the registry something of a version."""
    client = connect()
    with answering():
        for tag, value in tags.items():
            client.set_model_version_tag(name, version, tag, value)


def log_card(card: cards.Card) -> None:
    """Keep a model's card with the open run, for people and for programs."""
    mlflow.log_text(cards.as_markdown(card), "card/model-card.md")
    mlflow.log_text(cards.as_html(card), "card/model-card.html")
    mlflow.log_dict(dict(card), "card/model-card.json")


def logs(pipeline: Run) -> None:
    """Keep what the steps have printed so far with the open run."""
    if pipeline.logs.is_dir():
        mlflow.log_artifacts(str(pipeline.logs), "logs")


def signature(columns: list[str]) -> ModelSignature:
    """Return what the model takes, a text or a number (missing allowed) a column, and gives: two probabilities."""
    inputs = [ColSpec(DataType.string if name in CATEGORIES else DataType.double, name) for name in columns]
    return ModelSignature(Schema(inputs), Schema([TensorSpec(np.dtype("float64"), (-1, 2))]))


def lineage(pipeline: Run, run_id: str) -> dict[str, str]:
    """Return the tags of a version: the data, the code, the libraries, the configuration, the runs, the result."""
    evaluation = pipeline.read("evaluation")
    report = hashlib.sha256(pipeline.file("evaluation.json").read_bytes()).hexdigest()
    return {
        **{f"lineage.{name}": value for name, value in origin(pipeline).items()},
        "lineage.serving_lock_hash": file_hash(SERVING_LOCK),
        "lineage.pipeline_run_id": pipeline.id,
        "lineage.run_id": run_id,
        "lineage.search_run_id": pipeline.read("train")["search_run_id"],
        "lineage.evaluation_hash": report,
        "lineage.test_auc": f"{evaluation['model']['auc']:.6f}",
        "lineage.baseline_auc": f"{evaluation['baseline']['auc']:.6f}",
    }


def origin(pipeline: Run) -> dict[str, str]:
    """Return what every run says of where it comes from: commit, data, lock, and configuration."""
    return {
        "git_commit": pipeline.commit,
        "data_hash": pipeline.read("version")["data_hash"],
        "lock_hash": file_hash(LOCK),
        "configuration_hash": file_hash(CONFIGURATION),
    }


def data_pointer(name: str, version: str) -> str:
    """Return the text of the ``.dvc`` file that a version's run kept.

    Raises:
        ServiceError: There is no such version, or MLflow doesn't answer.
    """
    client = connect()
    with answering():
        run_id = client.get_model_version(name, version).run_id
        return str(mlflow.artifacts.load_text(f"runs:/{run_id}/data.dvc"))
