"""The comparison itself, by Evidently."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from evidently import BinaryClassification, DataDefinition, Dataset, MulticlassClassification, Regression, Report
from evidently.presets import ClassificationPreset, DataDriftPreset, DataSummaryPreset, RegressionPreset

from .quality import Kind, Labelled, word
from .rows import PREDICTION

NUMERIC = "wasserstein"
CATEGORICAL = "jensenshannon"


@dataclass(frozen=True)
class Finding:
    """How far the present is from the reference.

    Args:
        distances: Of each input, and of ``prediction``.
        missing: The share of each column's values that are missing.
        limit: From which distance a column has drifted.
    """

    distances: Mapping[str, float]
    missing: Mapping[str, float]
    limit: float = field(default=0.1)

    @property
    def share(self) -> float:
        """The share of the inputs that have drifted."""
        inputs = [distance for name, distance in self.distances.items() if name != PREDICTION]
        return sum(distance >= self.limit for distance in inputs) / len(inputs) if inputs else 0.0

    def drifted(self, name: str) -> bool:
        """Return whether a column has drifted."""
        return self.distances[name] >= self.limit


def compare(reference: pd.DataFrame, current: pd.DataFrame, limit: float, report: Path) -> Finding:
    """Compare the columns that both have, and write a page to look at.

    A column with no value at all on either side has no distribution to compare: only that it is missing is told.
    """
    shared = [name for name in reference.columns if name in current.columns]
    numbers = [name for name in shared if pd.api.types.is_numeric_dtype(reference[name])]
    current, reference = current[shared].copy(), reference[shared].copy()
    for name in shared:
        if name in numbers:
            current[name] = pd.to_numeric(current[name], errors="coerce")
        else:
            current[name], reference[name] = current[name].astype("string"), reference[name].astype("string")
            current[name], reference[name] = current[name].astype(object), reference[name].astype(object)
    missing = {name: float(current[name].isna().mean()) for name in shared}
    filled = [name for name in shared if current[name].notna().any() and reference[name].notna().any()]
    distances = _evidently(reference[filled], current[filled], numbers, limit, report) if filled else {}
    return Finding(distances, missing, limit)


def _evidently(
    reference: pd.DataFrame, current: pd.DataFrame, numbers: list[str], limit: float, report: Path
) -> dict[str, float]:
    kinds = DataDefinition(
        numerical_columns=[name for name in current.columns if name in numbers],
        categorical_columns=[name for name in current.columns if name not in numbers],
    )
    drift = DataDriftPreset(
        num_method=NUMERIC, num_threshold=limit, cat_method=CATEGORICAL, cat_threshold=limit, include_tests=False
    )
    result = Report([drift, DataSummaryPreset()]).run(
        Dataset.from_pandas(current, data_definition=kinds), Dataset.from_pandas(reference, data_definition=kinds)
    )
    _save(result, report)
    return {
        metric["config"]["column"]: float(metric["value"])
        for metric in result.dict()["metrics"]
        if metric["config"]["type"].endswith(":ValueDrift")
    }


def report_quality(evaluation: Sequence[Labelled], latest: Sequence[Labelled], kind: Kind, report: Path) -> None:
    """Write a page that shows the latest labelled predictions, beside the evaluation's where there is one."""
    definition = _definition(kind)
    preset = RegressionPreset() if kind == "number" else ClassificationPreset()
    current = Dataset.from_pandas(_table(latest, kind), data_definition=definition)
    before = Dataset.from_pandas(_table(evaluation, kind), data_definition=definition) if evaluation else None
    _save(Report([preset]).run(current, before), report)


def _definition(kind: Kind) -> DataDefinition:
    if kind == "number":
        return DataDefinition(regression=[Regression(target="label", prediction=PREDICTION)])
    if kind == "probability":
        given = BinaryClassification(target="label", prediction_probas=PREDICTION, pos_label=1)
        return DataDefinition(classification=[given])
    return DataDefinition(classification=[MulticlassClassification(target="label", prediction_labels=PREDICTION)])


def _table(rows: Sequence[Labelled], kind: Kind) -> pd.DataFrame:
    said, true = [row.prediction for row in rows], [row.label for row in rows]
    if kind == "class":
        return pd.DataFrame({PREDICTION: list(map(word, said)), "label": list(map(word, true))})
    table = pd.DataFrame({PREDICTION: said, "label": true}, dtype=float)
    return table.astype({"label": int}) if kind == "probability" else table


def _save(result: Any, report: Path) -> None:
    report.parent.mkdir(parents=True, exist_ok=True)
    partial = report.with_suffix(".partial")
    result.save_html(str(partial))
    partial.replace(report)
