"""Register versions of a small model, in the environment of the example project: ``register_models.py NAME COUNT``.

Version *n* answers every row with *n*. Every second one's libraries are listed in another order, which makes it an
environment of its own for the deployer, without downloading anything.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import infer_signature
from sklearn.dummy import DummyRegressor

LOCK = Path(__file__).parents[3] / "examples" / "flights" / "serving" / "requirements.txt"


def requirements(number: int) -> str:
    """Return the version's locked libraries."""
    entries: list[str] = []
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if line.startswith(("#", "    #")):
            continue
        if line.startswith(" "):
            entries[-1] += f"\n{line}"
        else:
            entries.append(line)
    return "\n".join(entries if number % 2 else reversed(entries)) + "\n"


def training(number: int) -> pd.DataFrame:
    """Return what drift is measured from: ``x`` around 0, and as many here as there."""
    random = np.random.default_rng(number)
    places = ["here", "there"] * 2500
    return pd.DataFrame({"x": random.normal(size=5000), "place": places, "prediction": float(number)})


def main(name: str, count: int) -> None:
    """Register versions 1 to ``count``."""
    rows = pd.DataFrame({"x": [1.0, 2.0], "email": ["ada@example.org", "bob@example.org"], "place": ["here", "there"]})
    mlflow.set_experiment(name)
    for number in range(1, count + 1):
        model = DummyRegressor(strategy="constant", constant=float(number)).fit(rows, np.zeros(len(rows)))
        with tempfile.TemporaryDirectory() as folder, mlflow.start_run():
            lock = Path(folder, "requirements.txt")
            lock.write_text(requirements(number), encoding="utf-8")
            reference = Path(folder, "reference.csv")
            training(number).to_csv(reference, index=False)
            mlflow.log_artifact(str(reference))
            mlflow.sklearn.log_model(
                model,
                name="model",
                serialization_format="skops",
                pip_requirements=str(lock),
                signature=infer_signature(rows, model.predict(rows)),
                input_example=rows,
                registered_model_name=name,
            )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
