"""The steps that make a model: search, train, evaluate, register, serve."""

from __future__ import annotations

from typing import Any

import pandas as pd

from flights import model, tracking
from flights.data_steps import TRAINING_FILE
from flights.definitions import MODEL_FEATURES
from flights.runs import Run
from flights.schedule import SCHEDULE_FEATURES
from flights.settings import Configuration

MODEL_FILE = "model.skops"
BASELINE_FILE = "baseline.skops"
SUBGROUPS = ("month", "carrier", "origin")
TRIAL_ROWS = 2000  # a trial's importance is for comparison; the chosen model's is taken more exactly


def labelled(run: Run) -> pd.DataFrame:
    """Return the flights whose arrival is known."""
    rows = pd.read_parquet(run.file(TRAINING_FILE))
    return rows[rows["late"].notna()]


def training(rows: pd.DataFrame, configuration: Configuration) -> pd.DataFrame:
    """Return the rows that search and train may see: before the first test month."""
    split = configuration.split
    return rows[(rows["month"] >= split["train_from"]) & (rows["month"] < split["test_from"])]


def testing(rows: pd.DataFrame, configuration: Configuration) -> pd.DataFrame:
    """Return the rows that only the evaluation may see."""
    return rows[rows["month"] >= configuration.split["test_from"]]


def search(run: Run, configuration: Configuration) -> str:
    """Try each set of parameters on the earlier training months, judge on the later ones, keep the best."""
    rows = training(labelled(run), configuration)
    early = rows[rows["month"] < configuration.split["validate_from"]]
    late = rows[rows["month"] >= configuration.split["validate_from"]]
    trials: list[dict[str, Any]] = []
    with tracking.run(run, "search") as search_run:
        for number, parameters in enumerate(configuration.search):
            name = f"trial-{number}"
            with tracking.run(run, name, nested=True) as trial_run:
                trained = model.fit(early, MODEL_FEATURES, parameters, configuration.seed)
                score = model.auc(late["late"], model.probability(trained, late))
                tracking.log(parameters, {"validation_auc": score})
                tracking.log_importance(model.importance(trained, late, configuration.seed, TRIAL_ROWS, repeats=1))
            trials.append({"name": name, "run_id": trial_run, "parameters": dict(parameters), "validation_auc": score})
        best = max(trials, key=lambda trial: float(trial["validation_auc"]))
        tracking.log(best["parameters"], {"validation_auc": best["validation_auc"]})
        tracking.compare(trials, best)
        run.write("search", {"run_id": search_run, "trials": trials, "best": best})
        tracking.artifact(run.folder / "search.json")
    return f"best of {len(trials)} trials: AUC {best['validation_auc']:.4f} on the validation months"


def train(run: Run, configuration: Configuration) -> str:
    """Train the best parameters, and the baseline, on all the training months."""
    import skops.io

    rows = training(labelled(run), configuration)
    best = run.read("search")["best"]
    trained = model.fit(rows, MODEL_FEATURES, best["parameters"], configuration.seed)
    baseline = model.fit(rows, SCHEDULE_FEATURES, configuration.baseline, configuration.seed)
    skops.io.dump(trained, run.folder / MODEL_FILE)
    skops.io.dump(baseline, run.folder / BASELINE_FILE)
    with tracking.run(run, "train") as run_id:
        tracking.log(best["parameters"], {"training_rows": len(rows), **best_metrics(best)})
    run.write("train", {"run_id": run_id, "rows": len(rows), "search_run_id": run.read("search")["run_id"]})
    return f"trained on {len(rows):,} flights"


def best_metrics(best: dict[str, Any]) -> dict[str, float]:
    """Return the metrics that a trained model takes over from its trial."""
    return {"validation_auc": float(best["validation_auc"])}


def evaluate(run: Run, configuration: Configuration) -> str:
    """Judge model and baseline on the test months, over all and by group, and say what mattered to the model."""
    rows = testing(labelled(run), configuration)
    report: dict[str, Any] = {"rows": len(rows), "late_share": float(rows["late"].mean())}
    for name, file in (("model", MODEL_FILE), ("baseline", BASELINE_FILE)):
        probabilities = model.probability(load(run, file), rows)
        report[name] = {
            "auc": model.auc(rows["late"], probabilities),
            "auc_by_month": model.auc_by_month(rows, probabilities),
            "brier": model.brier(rows["late"], probabilities),
        }
    report["unlabelled"] = run.read("features")["unlabelled"]
    trained = load(run, MODEL_FILE)
    probabilities = model.probability(trained, rows)
    report["subgroups"] = {column: model.by_group(rows, probabilities, column) for column in SUBGROUPS}
    report["importance"] = model.importance(trained, rows, configuration.seed)
    path = run.write("evaluation", report)
    model.evaluation(rows, probabilities, configuration.seed).to_csv(run.folder / tracking.EVALUATION, index=False)
    with tracking.run(run, "train", run_id=run.read("train")["run_id"]):
        tracking.log({}, tracking.evaluation_metrics(report))
        tracking.artifact(path)
        tracking.artifact(run.file(tracking.EVALUATION))
        tracking.log_importance(report["importance"])
    gain = report["model"]["auc"] - report["baseline"]["auc"]
    return f"AUC {report['model']['auc']:.4f} on {len(rows):,} later flights, {gain:+.4f} over the schedule alone"


def load(run: Run, file: str) -> Any:
    """Load a model that ``train`` left, admitting only the reviewed types."""
    import skops.io

    return skops.io.load(run.file(file), trusted=model.TRUSTED_TYPES)


def register(run: Run, configuration: Configuration) -> str:
    """Log the model without pickle, register it with its card, and tag the version with all that it came from."""
    rows, trained = training(labelled(run), configuration), load(run, MODEL_FILE)
    model.reference(trained, rows, configuration.seed).to_csv(run.folder / tracking.REFERENCE, index=False)
    number = tracking.register(run, configuration, trained, rows[MODEL_FEATURES].head(5))
    run.write("register", {"model": configuration.model_name, "version": number})
    return f"{configuration.model_name} version {number}"


def serve(run: Run, configuration: Configuration) -> str:
    """Let a version that passes the gate into production, and ask it for a prediction.

    Raises:
        GateError: The model is too weak, or doesn't say all that it came from; nothing in production changed.
        DeploymentError: The platform couldn't serve it; the version before serves on.
    """
    from flights import deployment, gate

    gate.check_quality(run.read("evaluation"), configuration)
    version = str(run.read("register")["version"])
    gate.check_version(configuration.model_name, version)
    rows = testing(labelled(run), configuration)[MODEL_FEATURES]
    difference = deployment.promote(configuration.model_name, version, load(run, MODEL_FILE), rows.head(20))
    return f"{configuration.model_name} version {version} serves; its answers differ by at most {difference:.1e}"


def monitor(run: Run, configuration: Configuration) -> str:
    """Ask the served version about flights that have landed since, and say on the version whether to train again."""
    from flights import monitoring

    version = str(run.read("register")["version"])
    seen = monitoring.watch(configuration, version, run.read("evaluation")["model"])
    run.write("monitor", seen.document())
    with tracking.run(run, "monitor"):
        tracking.log({"version": version, "requests": seen.requests}, seen.metrics())
        tracking.artifact(run.file("monitor.json"))
    with tracking.run(run, "train", run_id=run.read("train")["run_id"]):
        tracking.logs(run)
    tracking.tag_version(configuration.model_name, version, seen.tags())
    told = f"{seen.labels} labels handed over" if seen.labels is not None else "the platform takes no labels"
    return f"served AUC {seen.auc:.3f} over {seen.requests} landed flights; {told}; train again: {seen.verdict}"
