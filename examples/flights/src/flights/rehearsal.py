"""The way from data to a judged model without a platform: what CI runs on each change, on the real data.

Features are joined by their keys, which name the moment, as the platform's feature store joins them; the guards against
what is known later are the same. What it makes is judged by the same gate, and served by nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from flights import gate, model, personal, source
from flights.definitions import MODEL_FEATURES, STORED_FEATURES, VIEWS
from flights.errors import BadBatchError
from flights.known import KNOWN_AT, refuse_later_rows
from flights.model_steps import SUBGROUPS, testing, training
from flights.schedule import SCHEDULE_FEATURES, label, spine
from flights.settings import Configuration

FOLDER = Path(".rehearsal")


def rehearse(configuration: Configuration, say: Callable[[str], None], folder: Path = FOLDER) -> str:
    """Validate the data, train the first set of parameters and the baseline, judge both, and pass the gate.

    Leaves ``evaluation.json`` and ``report.md``, which a pull request can be commented with, in ``folder``.

    Raises:
        BadBatchError: The data is refused.
        GateError: The model is too weak.
    """
    from flights.schemas import schema_failures
    from flights.statistics import profile, reference, statistics_failures

    tables = source.read_package()
    failures = [*personal.findings(tables), *schema_failures(tables)]
    failures += statistics_failures(profile(tables), reference())
    if failures:
        raise BadBatchError(failures)
    say("the data passes")
    rows = joined(tables)
    rows = rows[rows["late"].notna()]
    say(f"{len(rows):,} flights joined")
    evaluation = judge(rows, configuration)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluation.json").write_text(json.dumps(evaluation, indent=1) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(report(evaluation), encoding="utf-8")
    gate.check_quality(evaluation, configuration)
    return f"the gate passes: AUC {evaluation['model']['auc']:.4f}; {folder / 'report.md'} says more"


def joined(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Return one row a flight with its features as they were known, and its label."""
    from flights.data_steps import feature_tables

    flights = tables["flights"]
    rows = spine(flights).assign(late=label(flights))
    frames = feature_tables(tables)
    for view in VIEWS:
        names = {name: f"{view.name}__{name}" for name in (*view.features, KNOWN_AT)}
        table = frames[view.name].rename(columns=names)[[view.key, *names.values()]]
        rows = rows.merge(table, on=view.key, how="left", validate="many_to_one")
    checked = refuse_later_rows(rows, "event_timestamp", "join")
    return checked[["flight_id", "month", "late", *SCHEDULE_FEATURES, *STORED_FEATURES]]


def judge(rows: pd.DataFrame, configuration: Configuration) -> dict[str, Any]:
    """Train model and baseline on the training months, and return how they do on the test months."""
    seen, unseen = training(rows, configuration), testing(rows, configuration)
    told: dict[str, Any] = {"rows": len(unseen), "late_share": float(unseen["late"].mean())}
    asked = (
        ("model", MODEL_FEATURES, configuration.search[0]),
        ("baseline", SCHEDULE_FEATURES, configuration.baseline),
    )
    for name, features, parameters in asked:
        said = model.probability(model.fit(seen, list(features), parameters, configuration.seed), unseen)
        told[name] = {"auc": model.auc(unseen["late"], said), "brier": model.brier(unseen["late"], said)}
        if name == "model":
            told["subgroups"] = {column: model.by_group(unseen, said, column) for column in SUBGROUPS}
    return told


def report(evaluation: dict[str, Any]) -> str:
    """Return the evaluation as Markdown."""
    trained, baseline = evaluation["model"], evaluation["baseline"]
    lines = [
        "### Model trained on this change",
        "",
        f"{evaluation['rows']:,} flights that it never saw, {evaluation['late_share']:.1%} of them late.",
        "",
        "| | AUC | Brier score |",
        "|---|---|---|",
        f"| model | {trained['auc']:.4f} | {trained['brier']:.4f} |",
        f"| schedule alone | {baseline['auc']:.4f} | {baseline['brier']:.4f} |",
    ]
    for column, groups in evaluation["subgroups"].items():
        lines += ["", f"| {column} | flights | AUC |", "|---|---|---|"]
        lines += [f"| {name} | {figures['rows']:,} | {figures['auc']:.3f} |" for name, figures in groups.items()]
    return "\n".join(lines) + "\n"
