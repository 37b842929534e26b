"""A good batch passes the schema and the statistics gate; a bad one is refused with a reason that says where."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from flights.schemas import schema_failures
from flights.statistics import make_reference, profile, reference, stability_index, statistics_failures
from made_up import batch

Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def good() -> Tables:
    return batch()


def with_flights(tables: Tables, change: Callable[[pd.DataFrame], pd.DataFrame]) -> Tables:
    return {**tables, "flights": change(tables["flights"]).reset_index(drop=True)}


def statistics_of(tables: Tables) -> list[str]:
    return statistics_failures(profile(tables), reference())


def february(flights: pd.DataFrame) -> pd.Series:
    return flights["month"] == 2


def test_a_good_batch_passes_both_gates(good: Tables) -> None:
    assert schema_failures(good) == []
    assert statistics_of(good) == []


@pytest.mark.parametrize(
    ("column", "kind"), [("distance", "str"), ("distance", "float64"), ("dep_delay", "str"), ("flight", "str")]
)
def test_a_wrong_type_is_refused_and_the_column_named(good: Tables, column: str, kind: str) -> None:
    failures = schema_failures(with_flights(good, lambda flights: flights.astype({column: kind})))
    assert any(reason.startswith(f"schema: flights.{column}: dtype(") for reason in failures)
    assert all(f"flights.{column}:" in reason for reason in failures)


def test_moments_without_a_zone_are_refused(good: Tables) -> None:
    naive = with_flights(good, lambda flights: flights.assign(time_hour=flights["time_hour"].dt.tz_localize(None)))
    assert any("schema: flights.time_hour: dtype" in reason for reason in schema_failures(naive))


@pytest.mark.parametrize(("table", "column"), [("flights", "dep_delay"), ("weather", "temp"), ("airlines", "carrier")])
def test_a_missing_column_is_refused_and_named(good: Tables, table: str, column: str) -> None:
    failures = schema_failures({**good, table: good[table].drop(columns=column)})
    assert len(failures) == 1
    assert table in failures[0]
    assert column in failures[0]


def test_a_column_that_nobody_declared_is_refused_and_named(good: Tables) -> None:
    failures = schema_failures(with_flights(good, lambda flights: flights.assign(surprise=1)))
    assert len(failures) == 1
    assert "surprise" in failures[0]


def test_duplicated_rows_are_refused_and_counted(good: Tables) -> None:
    doubled = with_flights(good, lambda flights: pd.concat([flights, flights.head(5)]))
    failures = schema_failures(doubled)
    assert "schema: flights.flight: multiple_fields_uniqueness: 10 case(s), such as 1, 2, 3" in failures


@pytest.mark.parametrize(
    ("column", "value"),
    [("origin", "ORD"), ("month", 13), ("minute", 60), ("dep_delay", 1e6), ("dest", "boston"), ("distance", -1)],
)
def test_a_value_out_of_range_is_refused_with_an_example(good: Tables, column: str, value: object) -> None:
    failures = schema_failures(with_flights(good, lambda flights: flights.assign(**{column: value})))
    assert len(failures) == 1
    assert failures[0].startswith(f"schema: flights.{column}: ")
    assert failures[0].endswith(f"3000 case(s), such as {value}")


def test_every_failing_table_is_told_at_once(good: Tables) -> None:
    bad = {**good, "weather": good["weather"].assign(humid=101.0), "airports": good["airports"].assign(lat=91.0)}
    assert [reason.split(":")[1].strip() for reason in schema_failures(bad)] == ["weather.humid", "airports.lat"]


@pytest.mark.parametrize(
    ("column", "value"), [("origin", "EWR"), ("carrier", "UA"), ("hour", 6)], ids=["origin", "carrier", "hour"]
)
def test_a_shifted_distribution_is_refused_and_its_column_and_month_named(
    good: Tables, column: str, value: object
) -> None:
    def shift(flights: pd.DataFrame) -> pd.DataFrame:
        return flights.assign(**{column: flights[column].where(~february(flights), value)})

    failures = [reason for reason in statistics_of(with_flights(good, shift)) if "distribution" in reason]
    assert len(failures) == 1
    assert failures[0].startswith(f"statistics: 2013-02: the distribution of {column} changed")


@pytest.mark.parametrize(
    ("column", "value", "statistic"),
    [
        ("arr_delay", 60.0, "late_share is 1"),
        ("arr_delay", -5.0, "late_share is 0"),
        ("distance", 3000, "mean_distance is 3000"),
    ],
)
def test_a_month_outside_the_limits_is_refused(good: Tables, column: str, value: float, statistic: str) -> None:
    shifted = with_flights(
        good, lambda flights: flights.assign(**{column: flights[column].where(~february(flights), value)})
    )
    failures = statistics_of(shifted)
    assert any(reason.startswith(f"statistics: 2013-02: {statistic}, not within") for reason in failures)
    assert all("2013-02" in reason for reason in failures)


def test_a_month_without_any_arrival_is_refused(good: Tables) -> None:
    def empty(flights: pd.DataFrame) -> pd.DataFrame:
        return flights.assign(arr_delay=flights["arr_delay"].where(~february(flights)))

    failures = statistics_of(with_flights(good, empty))
    assert "statistics: 2013-02: unlabelled_share is 1, not within 0 to 0.1" in failures
    assert any("2013-02: late_share is nan" in reason for reason in failures)


def test_a_month_with_few_flights_is_refused(good: Tables) -> None:
    few = with_flights(good, lambda flights: flights[~february(flights) | (flights.index % 8 < 2)])
    assert any("2013-02: flights_per_day is 125, not within 400" in reason for reason in statistics_of(few))


def test_a_month_without_flights_between_others_is_refused(good: Tables) -> None:
    failures = statistics_of(with_flights(good, lambda flights: flights[~february(flights)]))
    assert failures == ["statistics: 2013-02: no flights"]


def test_weather_without_any_value_is_refused(good: Tables) -> None:
    blank = {**good, "weather": good["weather"].assign(temp=float("nan"))}
    assert schema_failures(blank) == []
    assert statistics_of(blank) == ["statistics: 100.0% of the weather's temp are missing"]


def test_no_flights_at_all_are_refused(good: Tables) -> None:
    assert statistics_of(with_flights(good, lambda flights: flights.head(0))) == [
        "statistics: no flights from EWR, JFK, LGA"
    ]


def test_missing_weather_is_refused_and_its_airport_named(good: Tables) -> None:
    weather = good["weather"]
    failures = statistics_of({**good, "weather": weather[(weather["origin"] != "LGA") | (weather["month"] != 2)]})
    assert len(failures) == 1
    assert failures[0].startswith("statistics: weather of LGA covers 6")


def test_wild_wind_unknown_destinations_and_unknown_carriers_are_refused(good: Tables) -> None:
    bad = {
        **good,
        "weather": good["weather"].assign(wind_speed=1048.0),
        "airports": good["airports"].assign(faa="SFO"),
        "airlines": good["airlines"].query("carrier != 'UA'"),
    }
    assert statistics_of(bad) == [
        "statistics: 100.00% of wind speeds are above 200 mph",
        "statistics: 100.0% of flights go to airports not in the table",
        "statistics: carriers not in the table: UA",
    ]


def test_the_reference_is_made_of_the_months_before_the_first_test_month_only(good: Tables) -> None:
    shifted = with_flights(
        good, lambda flights: flights.assign(carrier=flights["carrier"].where(flights["month"] != 3, "ZZ"))
    )
    made = make_reference(profile(shifted), before="2013-03")
    assert made == make_reference(profile(good), before="2013-03")
    assert "ZZ" in make_reference(profile(shifted), before="2013-04")["carrier"]


def test_the_stability_index_is_zero_for_the_same_and_grows_with_change() -> None:
    same, shifted, other = {"a": 0.5, "b": 0.5}, {"a": 0.6, "b": 0.4}, {"c": 1.0}
    assert stability_index(same, same) == 0.0
    assert 0.0 < stability_index(same, shifted) < 0.25 < stability_index(same, other)
