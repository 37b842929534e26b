"""What is known only after the moment of prediction never becomes a feature."""

from __future__ import annotations

import pandas as pd
import pytest
from flights import model, store
from flights.definitions import MODEL_FEATURES, STORED_FEATURES, VIEWS
from flights.errors import KnownLaterError
from flights.known import SCHEDULED, epoch_seconds, refuse_known_later, refuse_later_rows
from flights.schedule import KEYS, SCHEDULE_FEATURES
from made_up import utc

LATER = ["dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late", "tailnum"]
PARAMETERS = {"max_iter": 1}


class FakeFeast:
    """A feature store whose join gives a prepared table, and that remembers what it was asked for."""

    def __init__(self, answer: pd.DataFrame) -> None:
        self.answer, self.asked = answer, None

    def get_historical_features(self, **asked: object) -> FakeFeast:
        self.asked = asked
        return self

    def to_df(self) -> pd.DataFrame:
        return self.answer


def joined(known_at: str, feature: str = "flights_weather__temp") -> pd.DataFrame:
    seconds = int(utc(known_at).timestamp())
    view = feature.split("__")[0]
    row = {"flight_id": "a", "event_timestamp": utc("2013-07-04 12:30"), feature: 70.0, f"{view}__known_at": seconds}
    return pd.DataFrame([row])


@pytest.mark.parametrize("column", LATER)
def test_a_column_known_later_is_refused_as_a_feature(column: str) -> None:
    with pytest.raises(KnownLaterError, match=f"test: refused as a feature: {column}\n"):
        refuse_known_later(["carrier", column], "test")


@pytest.mark.parametrize("column", LATER)
@pytest.mark.parametrize("prefix", ["flights__", "flights:", "departures__"])
def test_a_prefix_or_a_callers_word_does_not_admit_a_column_known_later(column: str, prefix: str) -> None:
    name = prefix + column
    with pytest.raises(KnownLaterError, match=f"refused as a feature: {name}\n"):
        refuse_known_later([name], "test", allowed=[name, column])


@pytest.mark.parametrize("column", ["temp", "weather__temp", "wind_gust", "visib", "something_new", "known_at"])
def test_same_hour_weather_and_unknown_columns_are_refused_unless_declared(column: str) -> None:
    with pytest.raises(KnownLaterError, match=f"{column}: nothing is declared about when it is known"):
        refuse_known_later([column], "test")


def test_the_error_names_every_refused_column_and_none_that_is_fine() -> None:
    with pytest.raises(KnownLaterError) as caught:
        refuse_known_later(["origin", "arr_delay", "temp", "dep_delay"], "test")
    assert "refused as a feature: arr_delay, dep_delay, temp" in str(caught.value)
    assert "origin" not in str(caught.value)


def test_the_published_schedule_and_declared_features_pass() -> None:
    refuse_known_later(SCHEDULED, "test")
    refuse_known_later(MODEL_FEATURES, "test", allowed=MODEL_FEATURES)
    assert not SCHEDULED & set(LATER)


@pytest.mark.parametrize("column", [*LATER, "temp", "flights__arr_delay"])
def test_the_model_refuses_a_column_known_later(column: str) -> None:
    with pytest.raises(KnownLaterError, match=f"model: refused as a feature: {column}\n"):
        model.build([*SCHEDULE_FEATURES, column], PARAMETERS, seed=1)


def test_the_model_takes_the_schedule_and_the_stored_features() -> None:
    assert model.build(MODEL_FEATURES, PARAMETERS, seed=1) is not None


@pytest.mark.parametrize("feature", ["weather__dep_delay", "dep_delay", "weather__other", "departures__late"])
def test_the_join_refuses_a_feature_known_later_before_it_asks_the_store(feature: str) -> None:
    feast = FakeFeast(joined("2013-07-04 12:00"))
    with pytest.raises(KnownLaterError, match=f"point-in-time join: refused as a feature: {feature}\n"):
        store.history(feast, "SELECT 1", ["weather__temp", feature])  # type: ignore[arg-type]
    assert feast.asked is None


@pytest.mark.parametrize("column", ["dep_delay", "arr_delay", "temp"])
def test_the_join_refuses_a_spine_that_carries_a_column_known_later(column: str) -> None:
    feast = FakeFeast(joined("2013-07-04 12:00"))
    spine = pd.DataFrame(columns=["flight_id", "event_timestamp", *KEYS, column])
    with pytest.raises(KnownLaterError, match=f"refused as a feature: {column}\n"):
        store.history(feast, spine, ["weather__temp"])  # type: ignore[arg-type]
    assert feast.asked is None


def test_the_join_always_asks_when_features_were_known_and_refuses_a_later_row() -> None:
    feast = FakeFeast(joined("2013-07-04 12:31"))
    with pytest.raises(KnownLaterError, match=r"1 row\(s\) hold features of weather from after the prediction"):
        store.history(feast, "SELECT 1", ["weather__temp"])  # type: ignore[arg-type]
    assert feast.asked is not None
    assert feast.asked["features"] == ["flights_weather:temp", "flights_weather:known_at"]


def test_the_join_gives_rows_known_in_time_under_the_models_names() -> None:
    feast = FakeFeast(joined("2013-07-04 12:30"))
    rows = store.history(feast, "SELECT 1", ["weather__temp"])  # type: ignore[arg-type]
    assert rows.columns.tolist() == ["flight_id", "event_timestamp", "weather__temp"]
    assert rows["weather__temp"].tolist() == [70.0]


def test_the_join_asks_for_all_stored_features_and_each_views_moment() -> None:
    answer = joined("2013-07-04 12:00")
    moments = {f"{view.table}__known_at": answer["flights_weather__known_at"] for view in VIEWS}
    feast = FakeFeast(answer.assign(**{f"flights_{name}": 1.0 for name in STORED_FEATURES}, **moments))
    store.history(feast, "SELECT 1")  # type: ignore[arg-type]
    assert feast.asked is not None
    asked = [name for name in feast.asked["features"] if name.endswith(":known_at")]
    assert asked == [f"flights_{view}:known_at" for view in ("weather", "departures", "carrier", "dest")]


def test_a_row_known_one_second_after_the_moment_is_refused_and_the_view_is_named() -> None:
    moment = pd.Series([utc("2013-07-04 12:30"), utc("2013-07-04 13:30")])
    seconds = epoch_seconds(moment)
    frame = pd.DataFrame({"at": moment, "dest__known_at": seconds, "carrier__known_at": seconds + pd.Series([0, 1])})
    with pytest.raises(KnownLaterError, match=r"1 row\(s\) hold features of carrier"):
        refuse_later_rows(frame, "at", "test")


def test_rows_known_in_time_or_without_a_view_pass_and_lose_the_moments() -> None:
    moment = pd.Series([utc("2013-07-04 12:30"), utc("2013-07-04 13:30")])
    known = pd.Series([utc("2013-07-04 12:30").timestamp(), float("nan")])
    frame = pd.DataFrame({"at": moment, "weather__temp": [1.0, float("nan")], "weather__known_at": known})
    assert refuse_later_rows(frame, "at", "test").columns.tolist() == ["at", "weather__temp"]


@pytest.mark.parametrize("others", [{}, {"dest__known_at": 0, "dest__late_rate_3d": 0.1}, {"weather__known_at": None}])
def test_features_that_do_not_say_when_they_were_known_are_refused(others: dict[str, float | None]) -> None:
    frame = pd.DataFrame([{"at": utc("2013-07-04"), "weather__temp": 1.0, **others}])
    with pytest.raises(KnownLaterError, match="do not say when they were known"):
        refuse_later_rows(frame, "at", "test")


def test_epoch_seconds_are_whole_seconds_since_1970_in_utc() -> None:
    moments = pd.Series([utc("1970-01-01 00:00:01.9"), utc("2013-03-10 07:00")])
    assert epoch_seconds(moments).tolist() == [1, 1362898800]
