"""The end of the pipeline and the reason for its next run: how the served model does on flights that have landed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from flights import labels, model, replay
from flights.settings import Configuration

REQUESTS = 200
# A served AUC this many standard errors below the evaluation's isn't chance any more.
ERRORS_BELOW = 3.0


@dataclass(frozen=True)
class Watched:
    """What was seen of a served version: its AUC, how far off that may be by chance, and the requests' time (ms).

    ``labels`` is how many were handed to the platform; None where it takes none.
    """

    requests: int
    auc: float
    standard_error: float
    expected_auc: float
    mean_probability: float
    late_share: float
    p50_ms: float
    labels: int | None = None

    @property
    def degraded(self) -> bool:
        """Whether it is worse than its evaluation by more than chance explains; not a number counts as worse."""
        return not self.auc >= self.expected_auc - ERRORS_BELOW * self.standard_error

    @property
    def verdict(self) -> str:
        """What the next run's reader wants to know."""
        return "now" if self.degraded else "as scheduled"

    def document(self) -> dict[str, Any]:
        """Return it as data."""
        return {**asdict(self), "degraded": self.degraded, "train_again": self.verdict}

    def metrics(self) -> dict[str, float]:
        """Return what is logged to the monitoring run."""
        figures = asdict(self)
        return {f"served_{name}": float(figures[name]) for name in figures if name not in ("requests", "labels")}

    def tags(self) -> dict[str, str]:
        """Return what is told on the version."""
        return {"monitoring.served_auc": f"{self.auc:.6f}", "monitoring.train_again": self.verdict}


def watch(configuration: Configuration, version: str, evaluation: Mapping[str, float]) -> Watched:
    """Send flights of the test months, which stand for those that have landed, through the gateway, then their labels.

    Args:
        configuration: The project's.
        version: The version that must answer.
        evaluation: ``auc`` of the model on all of these months.

    Raises:
        DeploymentError: Another version answered.
    """
    flights = replay.sample(configuration, REQUESTS)
    answers = replay.ask(configuration.model_name, flights, workers=1)
    replay.refuse_other_versions(configuration.model_name, version, answers)
    said = np.array([answer.probability for answer in answers])
    late = flights["late"]
    auc = model.auc(late, said)
    return Watched(
        requests=len(answers),
        auc=auc,
        standard_error=standard_error(auc, int(late.sum()), int(len(late) - late.sum())),
        expected_auc=float(evaluation["auc"]),
        mean_probability=float(said.mean()),
        late_share=float(late.mean()),
        p50_ms=float(np.median([answer.features_ms + answer.serving_ms for answer in answers])),
        labels=labels.hand_over(configuration.model_name, flights),
    )


def standard_error(auc: float, positives: int, negatives: int) -> float:
    """Return the standard error of an AUC (Hanley and McNeil 1982, equation 1)."""
    both, neither = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    spread = auc * (1 - auc) + (positives - 1) * (both - auc**2) + (negatives - 1) * (neither - auc**2)
    return math.sqrt(max(0.0, spread) / (positives * negatives))
