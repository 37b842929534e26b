"""Set up every test: few threads, and none of the environment's addresses or accounts."""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before scikit-learn is imported: spinning threads are slow on a busy machine
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["GIT_PYTHON_REFRESH"] = "quiet"
os.environ["DO_NOT_TRACK"] = "true"

import pytest

FOREIGN = ("PIPELINE_", "TERRACE_", "FEATURE_STORE_", "MLFLOW_TRACKING_", "DVC_REMOTE_")


@pytest.fixture(autouse=True)
def _no_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        monkeypatch.delenv(name)
