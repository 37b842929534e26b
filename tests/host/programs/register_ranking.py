"""Register a model that says how likely something is, in the example's environment: ``register_ranking.py NAME``.

What it predicts is likelier the larger ``x`` is. Its run keeps what drift is measured from, and its evaluation.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from register_models import requirements
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

ROWS = 5000
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]  # as the platform's serving does
MONTHS = [f"2013-{month:02d}-15T12:00:00Z" for month in range(7, 12)]


def drawn(seed: int) -> pd.DataFrame:
    """Return rows and what happened: in about a quarter of them, and more often where ``x`` is large."""
    random = np.random.default_rng(seed)
    x = random.normal(size=ROWS)
    happened = x + random.normal(size=ROWS) > 0.95
    return pd.DataFrame({"x": x, "email": "ada@example.org", "place": ["here", "there"] * (ROWS // 2), "y": happened})


def main(name: str) -> None:
    """Register version 1."""
    seen, unseen = drawn(1), drawn(2)
    inputs = ["x", "email", "place"]
    columns = ColumnTransformer([("x", "passthrough", ["x"])])  # trees take what is missing as it is
    trees = HistGradientBoostingClassifier(max_iter=30, min_samples_leaf=200, random_state=1)
    with threadpool_limits(1):  # several would spin while they wait for a busy processor
        model = Pipeline([("columns", columns), ("trees", trees)]).fit(seen[inputs], seen["y"].astype(int))
    mlflow.set_experiment(name)
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
        reference = seen[["x", "place"]].assign(prediction=model.predict_proba(seen[inputs])[:, 1])
        reference.to_csv(Path(folder, "reference.csv"), index=False)
        told = pd.DataFrame({"prediction": model.predict_proba(unseen[inputs])[:, 1], "label": unseen["y"].astype(int)})
        told["happened"] = MONTHS * (ROWS // len(MONTHS))
        told.to_csv(Path(folder, "evaluation.csv"), index=False)
        mlflow.log_artifacts(folder)
        lock = Path(folder, "requirements.txt")
        lock.write_text(requirements(1), encoding="utf-8")
        mlflow.sklearn.log_model(
            model,
            name="model",
            serialization_format="skops",
            skops_trusted_types=TRUSTED,
            pyfunc_predict_fn="predict_proba",
            pip_requirements=str(lock),
            signature=infer_signature(seen[inputs], model.predict_proba(seen[inputs])),
            input_example=seen[inputs].head(2),
            registered_model_name=name,
        )


if __name__ == "__main__":
    main(sys.argv[1])
