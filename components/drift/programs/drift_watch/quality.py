"""How good predictions were, now that their labels are known, and whether what happens is as frequent as it was.

The two are told apart. A model is worse when it ranks worse: when those that it gave more are no longer those that
had more. A season changes how frequent something is, and so accuracy and loss with it, while the ranking stays. Ranking
is the area under the ROC curve for probabilities, Spearman's correlation for numbers, and, for want of a ranking, the
share of right answers for classes.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .ranking import auc, auc_error, correlation, correlation_error

Kind = Literal["probability", "number", "class"]
CHANCE = 3.0  # standard errors; what is within is chance
LEAST = 1e-6  # a probability of 0 that turns out wrong would make the log loss endless


@dataclass(frozen=True)
class Labelled:
    """A prediction whose label is known.

    Args:
        prediction: As `rows.predictions` gives it.
        label: What was true.
        happened: When; the time of the prediction where nobody said.
        delay: Seconds from the prediction to its label.
    """

    prediction: Any
    label: Any
    happened: datetime | None = None
    delay: float = 0.0


@dataclass(frozen=True)
class Limits:
    """From when on something is said.

    Args:
        rows: Fewer labelled predictions are not judged.
        judged: How many of the latest are.
        drop: How much less the ranking may be than the evaluation's lowest.
        shift: How far outcomes may be from the evaluation's, or from what was predicted.
        window: The time that labelled predictions are put together by.
    """

    rows: int
    judged: int
    drop: float
    shift: float
    window: Literal["day", "week", "month"]


@dataclass(frozen=True)
class Figures:
    """What is known of some labelled predictions.

    Args:
        rows: How many there are.
        score: Their ranking; None where it can't be told, as when all labels are the same.
        error: The score's standard error.
        losses: Further measures, smaller is better.
        outcome: The mean label; for classes the share of the reference's most frequent one.
        expected: The same of the predictions.
        spread: The standard deviation of the outcome.
        residual: That of outcome less prediction.
        delay: The median time until the label came (seconds).
    """

    rows: int
    score: float | None
    error: float
    losses: Mapping[str, float]
    outcome: float
    expected: float
    spread: float
    residual: float
    delay: float = 0.0


@dataclass(frozen=True)
class Reference:
    """What the model's own evaluation found.

    Args:
        kind: What its predictions are.
        whole: All of it.
        lowest: Its window with the lowest ranking; seasons bring it that low by themselves.
        frequent: For classes, the most frequent one.
    """

    kind: Kind
    whole: Figures
    lowest: Figures
    frequent: str = ""


@dataclass(frozen=True)
class Verdict:
    """What is said of the latest labelled predictions."""

    low: bool
    season: bool
    drop: float
    change: float
    gap: float


@dataclass(frozen=True)
class Judged:
    """How good a version's predictions were.

    Args:
        kind: What they are.
        rows: The latest of those whose label is of that kind, in the order in which they happened.
        unfit: How many labels aren't.
        latest: The figures of ``rows``.
        windows: The figures of all that fit, by window.
        verdict: What is said of the latest; None where there is no reference, or there are too few.
    """

    kind: Kind
    rows: Sequence[Labelled]
    unfit: int
    latest: Figures
    windows: Mapping[str, Figures]
    verdict: Verdict | None


def kind_of(rows: Sequence[Labelled]) -> Kind:
    """Return what predictions are, by what they and their labels look like."""
    labels, predictions = {row.label for row in rows}, [row.prediction for row in rows]
    if not all(_is_number(value) for value in (*labels, *predictions)):
        return "class"
    return "probability" if labels <= {0, 1} and all(0 <= value <= 1 for value in predictions) else "number"


def fits(row: Labelled, kind: Kind) -> bool:
    """Return whether a label is of the kind that the model's predictions are."""
    if kind == "class":
        return row.prediction is not None
    numbers = _is_number(row.prediction) and _is_number(row.label)
    return numbers and (kind == "number" or (row.label in (0, 1) and 0 <= row.prediction <= 1))


def refer(rows: Sequence[Labelled], limits: Limits) -> Reference | None:
    """Return what the evaluation found; None where it holds too little."""
    if len(rows) < limits.rows:
        return None
    kind = kind_of(rows)
    frequent = Counter(word(row.label) for row in rows).most_common(1)[0][0] if kind == "class" else ""
    whole = _figures(rows, kind, frequent)
    told = [_figures(part, kind, frequent) for part in _windows(rows, limits.window).values()]
    scored = [part for part in told if part.score is not None and part.rows >= limits.rows]
    lowest = min(scored, key=lambda part: part.score or 0.0, default=whole)
    return Reference(kind, whole, lowest, frequent)


def judge(rows: Sequence[Labelled], reference: Reference | None, limits: Limits) -> Judged | None:
    """Return how good predictions were; without a reference nothing is said of it; None where none fits."""
    kind = reference.kind if reference else kind_of(rows)
    frequent = reference.frequent if reference else ""
    fitting = sorted((row for row in rows if fits(row, kind)), key=_moment)
    if not fitting:
        return None
    windows = {name: _figures(part, kind, frequent) for name, part in _windows(fitting, limits.window).items()}
    newest = fitting[-limits.judged :]
    latest = _figures(newest, kind, frequent)
    verdict = compare(latest, reference, limits) if reference and latest.rows >= limits.rows else None
    return Judged(kind, newest, len(rows) - len(fitting), latest, windows, verdict)


def compare(latest: Figures, reference: Reference, limits: Limits) -> Verdict:
    """Tell a worse model from another season: the first by its ranking alone, the second only where that is as good."""
    before, whole = reference.lowest, reference.whole
    drop = before.score - latest.score if before.score is not None and latest.score is not None else 0.0
    low = drop > max(limits.drop, CHANCE * math.hypot(latest.error, before.error))
    unit = (whole.spread or 1.0) if reference.kind == "number" else 1.0
    change, gap = (latest.outcome - whole.outcome) / unit, (latest.expected - latest.outcome) / unit
    chance = math.hypot(latest.spread / math.sqrt(latest.rows), whole.spread / math.sqrt(whole.rows)) / unit
    off = latest.residual / math.sqrt(latest.rows) / unit
    shifted = abs(change) > max(limits.shift, CHANCE * chance) or abs(gap) > max(limits.shift, CHANCE * off)
    return Verdict(low, shifted and not low, drop, change, gap)


def decisive(versions: Iterable[str], production: str) -> str | None:
    """Return the version by which a model is judged, of those that have a verdict.

    Labels that come late are those of an earlier version. The one in production is judged as soon as it has enough of
    them; until then the version before it that has. One that was taken back is judged no more.
    """
    fitting = [version for version in versions if int(version) <= int(production)]
    return max(fitting, key=int, default=None)


def _figures(rows: Sequence[Labelled], kind: Kind, frequent: str) -> Figures:
    delays = sorted(row.delay for row in rows)
    score: float | None
    if kind == "class":
        said, true = [word(row.prediction) for row in rows], [word(row.label) for row in rows]
        score = share = sum(map(str.__eq__, said, true)) / len(rows)
        error, losses = math.sqrt(share * (1 - share) / len(rows)), {"error_rate": 1 - share}
        expected, outcome = [float(word == frequent) for word in said], [float(word == frequent) for word in true]
    else:
        expected, outcome = [float(row.prediction) for row in rows], [float(row.label) for row in rows]
        score, error, losses = _numbers(expected, outcome, kind)
    residuals = [true - said for said, true in zip(expected, outcome, strict=True)]
    return Figures(
        rows=len(rows),
        score=score,
        error=error,
        losses=losses,
        outcome=sum(outcome) / len(rows),
        expected=sum(expected) / len(rows),
        spread=_deviation(outcome),
        residual=_deviation(residuals),
        delay=delays[len(delays) // 2],
    )


def _numbers(said: list[float], true: list[float], kind: Kind) -> tuple[float | None, float, dict[str, float]]:
    """Return score, its standard error, and losses."""
    squares = sum((b - a) ** 2 for a, b in zip(said, true, strict=True)) / len(said)
    if kind == "probability":
        score, positives = auc(said, true), int(sum(true))
        error = 0.0 if score is None else auc_error(score, positives, len(true) - positives)
        chances = [min(max(a if b else 1 - a, LEAST), 1.0) for a, b in zip(said, true, strict=True)]
        return score, error, {"log_loss": -sum(map(math.log, chances)) / len(said), "brier": squares}
    score = correlation(said, true)
    error = 0.0 if score is None else correlation_error(score, len(said))
    mean = sum(abs(b - a) for a, b in zip(said, true, strict=True)) / len(said)
    return score, error, {"mean_absolute_error": mean, "root_mean_squared_error": math.sqrt(squares)}


def _windows(rows: Sequence[Labelled], window: str) -> dict[str, list[Labelled]]:
    layout = {"day": "%Y-%m-%d", "week": "%G-W%V", "month": "%Y-%m"}[window]
    found: dict[str, list[Labelled]] = {}
    for row in rows:
        if row.happened:
            found.setdefault(row.happened.strftime(layout), []).append(row)
    return found


def _moment(row: Labelled) -> float:
    return row.happened.timestamp() if row.happened else 0.0


def _deviation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and math.isfinite(value)


def word(value: Any) -> str:
    """Return a class as it is compared; JSON has no other word for the class 1 than the number."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
