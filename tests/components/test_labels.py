"""Labels that come late: how they find their prediction, and what they say of a model.

The two situations that must be told apart are made here: a season, in which what is predicted becomes more or less
frequent and the ranking stays, and a model that ranks worse while everything is as frequent as it was.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from components.drift.programs.drift_watch import quality, rows
from components.drift.programs.drift_watch.quality import Labelled, Limits, Reference, judge, refer
from components.drift.programs.drift_watch.ranking import auc, auc_error, correlation, correlation_error, ranks

LIMITS = Limits(rows=200, judged=1000, drop=0.03, shift=0.05, window="month")
MONTHS = [datetime(2013, month, 15, tzinfo=UTC) for month in range(7, 13)]


def flights(rate: float, days: Sequence[datetime], number: int = 1000, skill: float = 1.0) -> list[Labelled]:
    """Return predictions of something that happens at this rate, by a model that knows the rate.

    It sees a signal that is higher where it will happen. ``skill`` 0 is a model whose signal has nothing to do with it.
    """
    chance, made = random.Random(f"{rate} {number} {skill}"), []
    prior = math.log(rate / (1 - rate))
    for index in range(number):
        late = index < rate * number
        signal = chance.gauss(skill if late else 0.0, 1.0)
        told = 1 / (1 + math.exp(-(prior + signal - 0.5)))
        made.append(Labelled(told, float(late), days[index % len(days)]))
    return made


@pytest.fixture(scope="module")
def reference() -> Reference:
    rates = (0.31, 0.24, 0.13, 0.17, 0.17, 0.33)  # those of July to December 2013
    evaluation = [row for month, rate in zip(MONTHS, rates, strict=True) for row in flights(rate, [month], 3000)]
    found = refer(evaluation, LIMITS)
    assert found
    return found


def test_the_reference_is_the_lowest_month_and_the_mean_of_all(reference: Reference) -> None:
    assert (reference.kind, reference.whole.rows, reference.lowest.rows) == ("probability", 18000, 3000)
    assert reference.whole.outcome == pytest.approx(0.225, abs=0.001)
    assert reference.lowest.score is not None
    assert reference.whole.score is not None
    assert 0.7 < reference.lowest.score < reference.whole.score


@pytest.mark.parametrize("rate", [0.13, 0.33])
def test_another_season_is_not_a_worse_model(reference: Reference, rate: float) -> None:
    found = judge(flights(rate, MONTHS[:1]), reference, LIMITS)
    assert found
    assert found.verdict
    assert (found.verdict.low, found.verdict.season) == (False, True)
    assert found.verdict.change == pytest.approx(rate - 0.225, abs=0.002)


@pytest.mark.parametrize("skill", [0.0, 0.3])
def test_a_worse_model_is_not_another_season(reference: Reference, skill: float) -> None:
    found = judge(flights(0.225, MONTHS[:1], skill=skill), reference, LIMITS)
    assert found
    assert found.verdict
    assert (found.verdict.low, found.verdict.season) == (True, False)
    assert abs(found.verdict.change) < 0.01


def test_a_worse_model_in_another_season_is_a_worse_model_first_of_all(reference: Reference) -> None:
    found = judge(flights(0.33, MONTHS[:1], skill=0.0), reference, LIMITS)
    assert found
    assert found.verdict
    assert (found.verdict.low, found.verdict.season) == (True, False)


def test_as_good_and_as_frequent_says_nothing(reference: Reference) -> None:
    for number in range(20):
        found = judge(flights(0.225, MONTHS, 1000 + number), reference, LIMITS)
        assert found
        assert found.verdict
        assert (found.verdict.low, found.verdict.season) == (False, False)


def test_probabilities_that_are_all_too_high_are_said_where_the_rate_is_the_same(reference: Reference) -> None:
    rows = [Labelled(row.prediction**0.5, row.label, row.happened) for row in flights(0.225, MONTHS)]
    found = judge(rows, reference, LIMITS)
    assert found
    assert found.verdict
    assert (found.verdict.low, found.verdict.season) == (False, True)
    assert found.verdict.gap > 0.1


def test_few_labels_or_no_reference_are_not_judged(reference: Reference) -> None:
    few = judge(flights(0.33, MONTHS, 199), reference, LIMITS)
    alone = judge(flights(0.33, MONTHS), None, LIMITS)
    assert few
    assert alone
    assert few.verdict is alone.verdict is None
    assert (few.latest.rows, alone.kind) == (199, "probability")
    assert refer(flights(0.33, MONTHS, 199), LIMITS) is None
    assert judge([], reference, LIMITS) is None


@pytest.mark.parametrize(
    ("labelled", "production", "judged"),
    [(["9", "10"], "10", "10"), (["9", "8"], "10", "9"), (["9", "10"], "9", "9"), (["10"], "9", None), ([], "9", None)],
)
def test_the_version_in_production_is_judged_or_the_one_before_it(
    labelled: list[str], production: str, judged: str | None
) -> None:
    assert quality.decisive(labelled, production) == judged


def test_the_latest_are_judged_and_every_month_is_told(reference: Reference) -> None:
    before, after = flights(0.225, MONTHS[:1], 900, skill=0.0), flights(0.225, MONTHS[1:2], 1000)
    found = judge([*after, *before], reference, LIMITS)
    assert found
    assert found.verdict
    assert found.verdict.low is False
    assert {name: figures.rows for name, figures in found.windows.items()} == {"2013-07": 900, "2013-08": 1000}
    losses = found.windows["2013-08"].losses
    assert 0 < losses["brier"] < found.windows["2013-07"].losses["brier"]
    assert 0 < losses["log_loss"] < 1


@pytest.mark.parametrize(("window", "name"), [("day", "2013-12-30"), ("week", "2014-W01"), ("month", "2013-12")])
def test_windows_have_the_names_of_the_calendar(window: Any, name: str) -> None:
    limits = Limits(200, 1000, 0.03, 0.05, window)
    found = judge([Labelled(0.5, 1.0, datetime(2013, 12, 30, tzinfo=UTC))], None, limits)
    assert found
    assert list(found.windows) == [name]


def test_numbers_are_ranked_too(reference: Reference) -> None:
    chance = random.Random(1)
    true = [chance.gauss(10, 2) for _ in range(1000)]
    said = [value + chance.gauss(0, 1) for value in true]
    told = refer([Labelled(a, b, MONTHS[0]) for a, b in zip(said, true, strict=True)], LIMITS)
    assert told
    assert told.kind == "number"
    assert told.whole.losses["mean_absolute_error"] == pytest.approx(0.8, abs=0.05)
    warmer = judge([Labelled(a, b + 2, MONTHS[1]) for a, b in zip(said, true, strict=True)], told, LIMITS)
    broken = judge([Labelled(a, b, MONTHS[1]) for a, b in zip(said, reversed(true), strict=True)], told, LIMITS)
    assert warmer
    assert broken
    assert warmer.verdict
    assert broken.verdict
    assert (warmer.verdict.low, warmer.verdict.season) == (False, True)
    assert warmer.verdict.change == pytest.approx(1.0, abs=0.05), "in standard deviations of what happened"
    assert (broken.verdict.low, broken.verdict.season) == (True, False)


def test_classes_are_judged_by_how_many_are_right() -> None:
    good = [Labelled(str(index % 3), float(index % 3), MONTHS[0]) for index in range(300)]
    told = refer(good, LIMITS)
    assert told
    assert (told.kind, told.frequent, told.whole.score) == ("class", "0", 1.0)
    wrong = [Labelled(str((index + index % 2) % 3), index % 3, MONTHS[0]) for index in range(300)]
    found = judge(wrong, told, LIMITS)
    assert found
    assert found.verdict
    assert found.latest.losses == {"error_rate": 0.5}
    assert found.verdict.low is True


def test_a_label_of_another_kind_is_counted_and_left_out(reference: Reference) -> None:
    found = judge([Labelled(0.5, "late", MONTHS[0]), Labelled(0.5, 2.0), Labelled(0.5, 1.0)], reference, LIMITS)
    assert found
    assert (found.unfit, found.latest.rows, found.latest.score) == (2, 1, None)
    assert judge([Labelled(0.5, "late")], reference, LIMITS) is None
    assert quality.fits(Labelled(None, "late"), "class") is False


def test_ranks_and_areas_are_those_of_the_textbook() -> None:
    assert ranks([3.0, 1.0, 3.0, 2.0]) == [3.5, 1.0, 3.5, 2.0]
    assert auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]) == 0.75
    assert auc([0.5, 0.5], [0, 1]) == 0.5
    assert auc([0.5, 0.6], [1, 1]) is None
    assert correlation([1, 2, 3], [10, 30, 20]) == pytest.approx(0.5)
    assert correlation([1, 1, 1], [1, 2, 3]) is None


def test_standard_errors_are_near_those_of_repeated_draws() -> None:
    chance, areas, links = random.Random(1), [], []
    for _ in range(400):
        late, other = [chance.gauss(1, 1) for _ in range(50)], [chance.gauss(0, 1) for _ in range(150)]
        areas.append(auc(late + other, [1] * 50 + [0] * 150) or 0)
        links.append(correlation(late, [value + chance.gauss(0, 1) for value in late]) or 0)
    for drawn, told in (
        (areas, auc_error(sum(areas) / 400, 50, 150)),
        (links, correlation_error(sum(links) / 400, 50)),
    ):
        mean = sum(drawn) / len(drawn)
        spread = math.sqrt(sum((value - mean) ** 2 for value in drawn) / len(drawn))
        assert told == pytest.approx(spread, rel=0.2)


def test_labels_find_the_latest_answer_to_their_request() -> None:
    asked = datetime(2013, 7, 1, tzinfo=UTC)
    came, landed = asked + timedelta(days=2), asked + timedelta(days=1)

    def answer(*values: float) -> list[dict[str, Any]]:
        return [{"shape": [len(values), 1], "data": list(values)}]

    answered = [
        ("2", "a", asked + timedelta(hours=1), answer(0.9)),
        ("2", "a", asked, answer(0.1)),
        ("1", "a", asked, answer(0.4)),
        ("2", "b", asked, answer(0.2, 0.3)),
    ]
    labels = [
        ("a", 0, 1.0, landed, came),
        ("b", 1, 0.0, None, came),
        ("b", 2, 0.0, None, came),
        ("c", 0, 1, None, came),
    ]
    assert rows.join(answered, labels) == {
        "1": [Labelled(0.4, 1.0, landed, 2 * 86400)],
        "2": [Labelled(0.9, 1.0, landed, 47 * 3600), Labelled(0.3, 0.0, asked, 2 * 86400)],
    }
