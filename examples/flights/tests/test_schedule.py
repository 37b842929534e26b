"""The moment of prediction, the keys, and the label come from the schedule and the arrival."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from flights.known import KNOWN_LATER
from flights.schedule import CATEGORIES, KEYS, SCHEDULE_FEATURES, departure, label, spine
from made_up import flight, flights_table, utc


def planned(*leaves: str, **other: object) -> pd.DataFrame:
    return spine(flights_table(*(flight(moment, **other) for moment in leaves)))


@pytest.mark.parametrize(
    ("delay", "late"), [(-20.0, 0.0), (0.0, 0.0), (15.0, 0.0), (15.5, 1.0), (16.0, 1.0), (1000.0, 1.0)]
)
def test_a_flight_is_late_from_more_than_fifteen_minutes_on(delay: float, late: float) -> None:
    assert label(pd.DataFrame({"arr_delay": [delay]})).tolist() == [late]


def test_a_flight_without_an_arrival_delay_stays_unlabelled() -> None:
    labels = label(pd.DataFrame({"arr_delay": [30.0, np.nan, -3.0]}))
    assert labels.isna().tolist() == [False, True, False]


def test_the_moment_of_prediction_is_two_hours_before_scheduled_departure_in_utc() -> None:
    frame = planned("2013-07-04 16:45")
    assert frame["event_timestamp"].tolist() == [utc("2013-07-04 14:45")]
    assert str(frame["event_timestamp"].dtype) == "datetime64[ns, UTC]"


@pytest.mark.parametrize(
    ("leaves", "local_clock", "predicted"),
    [
        ("2013-03-10 06:59", 159, "2013-03-10 04:59"),  # the last minute of winter time
        ("2013-03-10 07:00", 300, "2013-03-10 05:00"),  # the first of summer time
        ("2013-03-10 08:30", 430, "2013-03-10 06:30"),  # two hours before spans the hour that didn't exist
        ("2013-11-03 05:30", 130, "2013-11-03 03:30"),  # 01:30, the first time
        ("2013-11-03 06:30", 130, "2013-11-03 04:30"),  # 01:30, an hour later
        ("2013-11-03 08:15", 315, "2013-11-03 06:15"),
    ],
)
def test_two_hours_are_two_hours_when_the_clocks_change(leaves: str, local_clock: int, predicted: str) -> None:
    table = flights_table(flight(leaves))
    assert table["sched_dep_time"].tolist() == [local_clock]
    assert departure(table).tolist() == [utc(leaves)]
    assert spine(table)["event_timestamp"].tolist() == [utc(predicted)]


def test_the_keys_name_the_hour_in_utc_and_the_new_york_day_of_the_moment_of_prediction() -> None:
    frame = planned("2013-07-04 05:30", carrier="B6", dest="SFO", origin="EWR")  # 01:30 on the 4th in New York
    assert frame.loc[0, KEYS].tolist() == ["EWR 2013-07-04T03", "B6 2013-07-03", "SFO 2013-07-03"]


def test_the_month_is_that_of_departure_in_new_york() -> None:
    frame = planned("2013-07-01 03:59", "2013-07-01 04:00", "2013-07-01 05:30")
    assert frame["month"].tolist() == ["2013-06", "2013-07", "2013-07"]


def test_the_schedules_features_are_local_and_in_minutes() -> None:
    frame = planned("2013-07-05 02:45", sched_arr_time=5)  # Thursday 22:45 in New York
    row = frame.loc[0, ["weekday", "departure_minute", "arrival_minute", "distance"]]
    assert row.tolist() == [3.0, 22 * 60 + 45, 5.0, 187.0]
    numbers = [name for name in SCHEDULE_FEATURES if name not in CATEGORIES]
    assert set(frame[numbers].dtypes) == {np.dtype("float64")}


def test_the_spine_is_the_same_before_and_after_the_flight() -> None:
    after = flights_table(flight("2013-07-04 16:45"), flight("2013-07-04 17:45", arr_delay=200.0, dep_delay=190.0))
    before = after.drop(columns=[name for name in KNOWN_LATER if name in after])
    pd.testing.assert_frame_equal(spine(before), spine(after))


def test_the_spine_carries_no_column_known_later() -> None:
    frame = planned("2013-07-04 16:45")
    assert set(frame) == {"flight_id", "event_timestamp", "month", *KEYS, *SCHEDULE_FEATURES}


def test_flights_of_one_number_differ_by_day_and_origin() -> None:
    rows = [flight("2013-07-04 16:45"), flight("2013-07-05 16:45"), flight("2013-07-04 16:45", origin="LGA")]
    ids = spine(pd.DataFrame(rows))["flight_id"]
    assert ids.tolist() == ["2013-07-04 UA1 JFK", "2013-07-05 UA1 JFK", "2013-07-04 UA1 LGA"]
