"""Each row of a feature table holds only what was known at its moment."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from flights.known import KNOWN_AT, epoch_seconds
from flights.schedule import spine
from flights.tables import departures_table, history_table, hours_of, weather_table
from made_up import flight, flights_table, utc, weather

HOURS = pd.date_range(utc("2013-07-04 00:00"), utc("2013-07-05 00:00"), freq="h")


def at(table: pd.DataFrame, key: str) -> pd.Series:
    """Return the one row of a key, which is the first column."""
    rows = table[table.iloc[:, 0] == key]
    assert len(rows) == 1, key
    return rows.iloc[0]


def weather_rows(temperatures: dict[str, float], **other: float) -> pd.DataFrame:
    return pd.DataFrame([weather(f"2013-07-04 {hour}:00", temp=temp, **other) for hour, temp in temperatures.items()])


def test_a_flight_sees_the_weather_of_the_hour_that_was_over_two_hours_before_it_leaves() -> None:
    table = weather_table(weather_rows({"10": 10.0, "11": 11.0, "12": 12.0, "13": 13.0, "14": 14.0}), HOURS)
    planned = spine(flights_table(flight("2013-07-04 14:00"), flight("2013-07-04 14:59")))
    seen = [at(table, key)["temp"] for key in planned["origin_hour"]]
    assert seen == [11.0, 11.0]  # predicted at 12:00 and 12:59: the hour labelled 12 isn't over


@pytest.mark.parametrize("changed", ["12", "13", "14"])
def test_weather_from_the_moment_of_prediction_on_changes_nothing(changed: str) -> None:
    temperatures = {"11": 11.0, "12": 12.0, "13": 13.0, "14": 14.0}
    before = at(weather_table(weather_rows(temperatures), HOURS), "JFK 2013-07-04T12")
    after = at(weather_table(weather_rows({**temperatures, changed: -30.0}), HOURS), "JFK 2013-07-04T12")
    pd.testing.assert_series_equal(before, after)


def test_a_missing_hour_of_weather_is_filled_for_six_hours_and_not_longer() -> None:
    table = weather_table(weather_rows({"03": 3.0}), HOURS).set_index("origin_hour")["temp"]
    known = table.dropna()
    assert known.index.tolist() == [f"JFK 2013-07-04T{hour:02}" for hour in range(4, 11)]
    assert set(known) == {3.0}


def test_a_value_missing_within_a_row_of_weather_stays_missing() -> None:
    rows = pd.DataFrame([weather("2013-07-04 10:00", wind_gust=30.0), weather("2013-07-04 11:00", wind_gust=np.nan)])
    assert np.isnan(at(weather_table(rows, HOURS), "JFK 2013-07-04T12")["wind_gust"])


def test_wind_that_only_a_broken_sensor_sees_becomes_missing() -> None:
    rows = pd.DataFrame([weather("2013-07-04 09:00", wind_speed=1048.0), weather("2013-07-04 10:00", wind_speed=199.0)])
    table = weather_table(rows, HOURS)
    assert np.isnan(at(table, "JFK 2013-07-04T10")["wind_speed"])
    assert at(table, "JFK 2013-07-04T11")["wind_speed"] == 199.0


def test_an_hour_of_weather_that_comes_twice_counts_once_and_airports_stay_apart() -> None:
    rows = weather_rows({"10": 1.0})
    rows = pd.concat([rows, rows.assign(temp=2.0), rows.assign(temp=3.0, origin="LGA")])
    table = weather_table(rows, HOURS)
    assert at(table, "JFK 2013-07-04T11")["temp"] == 2.0
    assert at(table, "LGA 2013-07-04T11")["temp"] == 3.0


def test_only_departures_that_had_happened_in_the_last_three_hours_count() -> None:
    rows = [
        flight("2013-07-04 08:50", dep_delay=9.0),  # 08:59: over three hours ago
        flight("2013-07-04 09:30", dep_delay=30.0),  # 10:00
        flight("2013-07-04 11:50", dep_delay=10.0),  # 12:00
        flight("2013-07-04 11:50", dep_delay=11.0),  # 12:01: not yet
        flight("2013-07-04 12:10", dep_delay=-10.0),  # 12:00: early
    ]
    row = at(departures_table(flights_table(*rows), HOURS), "JFK 2013-07-04T12")
    assert row[["departed", "mean_delay", "late_share", "waiting"]].tolist() == [3.0, 10.0, pytest.approx(1 / 3), 1.0]


def test_an_hour_without_departures_has_no_delay() -> None:
    row = at(departures_table(flights_table(flight("2013-07-04 12:30")), HOURS), "JFK 2013-07-04T12")
    assert row["departed"] == 0.0
    assert row[["mean_delay", "late_share"]].isna().all()


def test_a_cancelled_flight_waits_for_six_hours() -> None:
    cancelled = flight("2013-07-04 08:00", dep_delay=np.nan, air_time=np.nan, arr_delay=np.nan)
    table = departures_table(flights_table(cancelled, flight("2013-07-04 20:00")), HOURS).set_index("origin_hour")
    waiting = table["waiting"]
    assert waiting[waiting == 1.0].index.tolist() == [f"JFK 2013-07-04T{hour:02}" for hour in range(8, 14)]


def two_days(**of_the_evening: float) -> pd.DataFrame:
    """Return a flight in the evening of 4 July (New York), and one on 6 July that makes the table long enough."""
    return flights_table(
        flight("2013-07-04 16:00"), flight("2013-07-05 01:00", **of_the_evening), flight("2013-07-06 16:00")
    )


def rate(flights: pd.DataFrame, key: str, by: str = "carrier") -> float:
    return float(at(history_table(flights, by), key)["late_rate_3d"])


def test_history_counts_an_arrival_from_the_day_after_it_landed() -> None:
    flights = two_days(arr_delay=100.0)  # 21:00, an hour in the air, an hour on the ground: landed on the 4th
    assert np.isnan(rate(flights, "UA 2013-07-04"))
    assert rate(flights, "UA 2013-07-05") == pytest.approx(0.5)


def test_history_leaves_out_a_flight_that_was_still_in_the_air_at_midnight() -> None:
    flights = two_days(arr_delay=100.0, air_time=121.0)  # 21:00 + 2:01 + 1:00 is after midnight
    assert rate(flights, "UA 2013-07-05") == 0.0
    assert rate(flights, "UA 2013-07-06") == pytest.approx(0.5)


def test_history_leaves_out_a_flight_that_left_too_late_to_land_before_midnight() -> None:
    flights = two_days(arr_delay=100.0, dep_delay=100.0)
    assert rate(flights, "UA 2013-07-05") == 0.0
    assert rate(flights, "UA 2013-07-06") == pytest.approx(0.5)


def test_history_leaves_out_flights_without_a_recorded_arrival() -> None:
    flights = two_days(arr_delay=np.nan, air_time=np.nan)
    assert rate(flights, "UA 2013-07-06") == 0.0


def test_history_is_drawn_towards_all_flights_with_the_weight_of_twenty() -> None:
    rows = [flight("2013-07-04 16:00", arr_delay=60.0, dest="SFO") for _ in range(10)]
    rows += [flight("2013-07-04 16:00") for _ in range(30)]
    flights = flights_table(*rows, flight("2013-07-05 16:00"))
    assert rate(flights, "SFO 2013-07-05", "dest") == pytest.approx((10 + 0.25 * 20) / (10 + 20))
    assert rate(flights, "BOS 2013-07-05", "dest") == pytest.approx((0 + 0.25 * 20) / (30 + 20))


def test_the_short_history_forgets_after_three_days_and_the_long_one_does_not() -> None:
    flights = flights_table(
        flight("2013-07-01 16:00", arr_delay=60.0), *(flight(f"2013-07-0{day} 16:00") for day in range(2, 8))
    )
    row = at(history_table(flights, "carrier"), "UA 2013-07-05")
    assert row["late_rate_3d"] == pytest.approx(0.0)
    assert row["late_rate_28d"] == pytest.approx((1 + 20 / 4) / (4 + 20))


@pytest.mark.parametrize("clocks_change", ["2013-03-10", "2013-11-03"])
def test_history_is_known_at_new_yorks_midnight_also_when_the_clocks_change(clocks_change: str) -> None:
    day = pd.Timestamp(clocks_change)
    leaves = [f"{day + pd.Timedelta(days=offset):%Y-%m-%d} 16:00" for offset in (-1, 0, 1)]
    table = history_table(flights_table(*map(flight, leaves)), "carrier")
    midnights = table["event_timestamp"].dt.tz_convert("America/New_York")
    assert [f"UA {midnight:%Y-%m-%d}" for midnight in midnights] == table["carrier_day"].tolist()
    assert set(midnights.dt.hour) == {0}


@pytest.mark.parametrize(
    "make",
    [
        lambda flights, hours: departures_table(flights, hours),
        lambda flights, _hours: history_table(flights, "carrier"),
        lambda flights, _hours: history_table(flights, "dest"),
    ],
    ids=["departures", "carrier", "dest"],
)
def test_what_happens_later_changes_no_earlier_row(make: Callable[..., pd.DataFrame]) -> None:
    """Flights of which nothing is known at noon of 5 July turn out differently; every row up to then stays."""
    random = np.random.default_rng(0)
    moments = pd.date_range("2013-07-03 06:00", "2013-07-07 06:00", freq="37min")
    rows = [flight(str(moment), dep_delay=float(random.integers(-5, 90))) for moment in moments]
    flights = flights_table(*rows).assign(arr_delay=random.integers(-20, 90, len(rows)).astype(float))
    noon = utc("2013-07-05 16:00")
    later = flights["time_hour"] + pd.to_timedelta(flights["minute"] - 5, unit="min") > noon
    changed = flights.assign(
        dep_delay=flights["dep_delay"].where(~later, 55.0), arr_delay=flights["arr_delay"].where(~later, 99.0)
    )
    hours = hours_of(flights)
    before, after = make(flights, hours), make(changed, hours)
    early = before["event_timestamp"] <= noon
    assert early.any()
    assert not early.all()
    pd.testing.assert_frame_equal(before[early], after[early])
    assert not before[~early].equals(after[~early])


def test_every_row_says_that_it_was_known_at_its_own_moment() -> None:
    flights = two_days()
    tables = [weather_table(weather_rows({"10": 1.0}), HOURS), departures_table(flights, HOURS)]
    tables += [history_table(flights, by) for by in ("carrier", "dest")]
    for table in tables:
        assert table[KNOWN_AT].tolist() == epoch_seconds(table["event_timestamp"]).tolist()
        assert table.iloc[:, 0].is_unique


def test_the_hours_reach_from_the_day_before_the_first_flight_to_the_last() -> None:
    hours = hours_of(two_days())
    assert (hours[0], hours[-1]) == (utc("2013-07-03 00:00"), utc("2013-07-06 16:00"))
