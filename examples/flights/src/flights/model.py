"""The model: gradient-boosted trees over the schedule, and over what was known two hours before."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.inspection import permutation_importance
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

from flights.definitions import STORED_FEATURES
from flights.known import refuse_known_later
from flights.schedule import CATEGORIES, SCHEDULE_FEATURES

IMPORTANCE_ROWS = 5000
SMALLEST_GROUP = 200
REFERENCE_ROWS = 5000
EVALUATION_ROWS = 20_000  # some thousands a month: each month's AUC is then known to about 0.01
# Types that skops may make when it loads the model, beyond those that it trusts by itself. Each was looked at:
# TreePredictor holds a tree's nodes as arrays, and partial binds arguments to check_array, which only checks arrays;
# skops asks for partial's function by its own name, so trusting partial doesn't trust any other function.
TRUSTED_TYPES = [
    "functools.partial",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.utils.validation.check_array",
]


def build(features: list[str], parameters: Mapping[str, float], seed: int) -> Pipeline:
    """Return an untrained model over the named columns; categories first, numbers as they are, missing allowed.

    Raises:
        KnownLaterError: A feature is known only after the moment of prediction.
    """
    refuse_known_later(features, "model", allowed=[*SCHEDULE_FEATURES, *STORED_FEATURES])
    categories = [name for name in features if name in CATEGORIES]
    numbers = [name for name in features if name not in CATEGORIES]
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    columns = ColumnTransformer([("categories", encoder, categories), ("numbers", "passthrough", numbers)])
    trees = HistGradientBoostingClassifier(
        **parameters,
        categorical_features=list(range(len(categories))),
        early_stopping=False,
        random_state=seed,
    )
    return Pipeline([("columns", columns), ("trees", trees)])


def fit(rows: pd.DataFrame, features: list[str], parameters: Mapping[str, float], seed: int) -> Pipeline:
    """Train on rows whose label is known."""
    return build(features, parameters, seed).fit(rows[features], rows["late"].astype(int))


def probability(model: Pipeline, rows: pd.DataFrame) -> np.ndarray:
    """Return the probability of a late arrival for each row."""
    return np.asarray(model.predict_proba(rows[list(model.feature_names_in_)])[:, 1])


def reference(model: Pipeline, rows: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return a sample of what the model was trained on, with its predictions: what later ones are compared with."""
    sample = rows.sample(min(REFERENCE_ROWS, len(rows)), random_state=seed)
    return sample[list(model.feature_names_in_)].assign(prediction=probability(model, sample))


def evaluation(rows: pd.DataFrame, probabilities: np.ndarray, seed: int) -> pd.DataFrame:
    """Return a sample of the evaluation: what was said, what was true, and when (the middle of its month)."""
    told = pd.DataFrame(
        {
            "prediction": np.round(probabilities, 6),
            "label": rows["late"].astype(int).to_numpy(),
            "happened": rows["month"].to_numpy() + "-15T12:00:00Z",
        }
    )
    return told.sample(min(EVALUATION_ROWS, len(told)), random_state=seed)


def auc(late: pd.Series, probabilities: np.ndarray) -> float:
    """Return the area under the ROC curve: 0.5 is guessing, 1.0 is always right."""
    return float(roc_auc_score(late, probabilities))


def auc_by_month(rows: pd.DataFrame, probabilities: np.ndarray) -> dict[str, float]:
    """Return the AUC within each month of ``rows``."""
    scored = rows[["month", "late"]].assign(probability=probabilities)
    return {str(month): auc(part["late"], part["probability"].to_numpy()) for month, part in scored.groupby("month")}


def brier(late: pd.Series, probabilities: np.ndarray) -> float:
    """Return the mean squared error of the probabilities: 0 is perfect."""
    return float(brier_score_loss(late, probabilities))


def by_group(rows: pd.DataFrame, probabilities: np.ndarray, column: str) -> dict[str, dict[str, float]]:
    """Return size, late share, AUC, and Brier score within each group of ``column``.

    Groups of fewer than 200 flights, or of one outcome alone, say nothing and are left out.
    """
    scored = rows[[column, "late"]].assign(probability=probabilities)
    told = {}
    for group, part in scored.groupby(column):
        if len(part) >= SMALLEST_GROUP and part["late"].nunique() == 2:
            said = part["probability"].to_numpy()
            told[str(group)] = {
                "rows": len(part),
                "late_share": float(part["late"].mean()),
                "auc": auc(part["late"], said),
                "brier": brier(part["late"], said),
            }
    return told


def importance(
    model: Pipeline, rows: pd.DataFrame, seed: int, sample: int = IMPORTANCE_ROWS, repeats: int = 2
) -> dict[str, dict[str, float]]:
    """Return how much AUC is lost when a feature's values are shuffled, on a sample of rows, largest first.

    Returns:
        Feature → ``mean`` and ``spread`` (standard deviation over ``repeats``) of the loss.
    """
    drawn = rows.sample(min(sample, len(rows)), random_state=seed)
    columns = list(model.feature_names_in_)
    result = permutation_importance(
        model, drawn[columns], drawn["late"], scoring="roc_auc", n_repeats=repeats, random_state=seed
    )
    told = zip(columns, result.importances_mean, result.importances_std, strict=True)
    losses = {name: {"mean": float(mean), "spread": float(spread)} for name, mean, spread in told}
    return dict(sorted(losses.items(), key=lambda item: -item[1]["mean"]))
