"""How well predictions order what happened, and how far off that may be by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby


def ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank from 1 on; equal ones share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found, before = [0.0] * len(values), 0
    for _, group in groupby(order, key=values.__getitem__):
        same = list(group)
        for index in same:
            found[index] = before + (len(same) + 1) / 2
        before += len(same)
    return found


def auc(said: Sequence[float], true: Sequence[float]) -> float | None:
    """Return the area under the ROC curve (0.5 is guessing); None where all labels are the same."""
    positives = sum(label == 1 for label in true)
    negatives = len(true) - positives
    if not positives or not negatives:
        return None
    total = sum(rank for rank, label in zip(ranks(said), true, strict=True) if label == 1)
    return (total - positives * (positives + 1) / 2) / (positives * negatives)


def auc_error(area: float, positives: int, negatives: int) -> float:
    """Return its standard error (Hanley and McNeil 1982, equation 1)."""
    both, neither = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (positives - 1) * (both - area**2) + (negatives - 1) * (neither - area**2)
    return math.sqrt(max(0.0, spread) / (positives * negatives))


def correlation(said: Sequence[float], true: Sequence[float]) -> float | None:
    """Return Spearman's rank correlation (0 is guessing); None where one side is always the same."""
    first, second, middle = ranks(said), ranks(true), (len(said) + 1) / 2
    spreads = [math.sqrt(sum((rank - middle) ** 2 for rank in side)) for side in (first, second)]
    if not all(spreads):
        return None
    together = sum((a - middle) * (b - middle) for a, b in zip(first, second, strict=True))
    return together / (spreads[0] * spreads[1])


def correlation_error(value: float, rows: int) -> float:
    """Return its standard error (Bonett and Wright 2000, from Fisher's transformation)."""
    return (1 - value**2) * math.sqrt((1 + value**2 / 2) / max(1, rows - 3))
