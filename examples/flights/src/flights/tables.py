"""Feature tables. Each row holds what was known at its ``event_timestamp``, under a key that names that moment."""

from __future__ import annotations

import numpy as np
import pandas as pd

from flights.known import KNOWN_AT, epoch_seconds
from flights.schedule import ZONE, day_key, departure, hour_key, label, local_day

WEATHER = ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
DEPARTURES = ["departed", "mean_delay", "late_share", "waiting"]
HISTORY = ["late_rate_3d", "late_rate_28d"]
STALE = pd.Timedelta(hours=6)
RECENT = np.timedelta64(3, "h")
GIVEN_UP = pd.Timedelta(hours=6)
TAXI = pd.Timedelta(hours=1)
PRIOR_FLIGHTS = 20
MAX_WIND_MPH = 200.0


def hours_of(flights: pd.DataFrame) -> pd.DatetimeIndex:
    """Return every full hour (UTC) from the day before the first departure to the last departure."""
    leaves = departure(flights)
    return pd.date_range(leaves.min().floor("D") - pd.Timedelta(days=1), leaves.max().ceil("h"), freq="h")


def weather_table(weather: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """Return the last weather known at each airport at the start of each hour.

    The row that the source labels hour H is taken as known at H + 1 h, when the hour is over. Missing rows
    are filled with the last known one for up to six hours; a value missing within a row stays missing (no gust is
    not an old gust). Wind over 200 mph is a sensor's error and becomes missing.

    Args:
        weather: Hourly weather of the airports; an hour that comes twice counts once, the later row.
        hours: The hours to make rows for, UTC.
    """
    weather = weather.assign(wind_speed=weather["wind_speed"].where(weather["wind_speed"] <= MAX_WIND_MPH))
    weather = weather.drop_duplicates(["origin", "time_hour"], keep="last")
    parts = []
    for origin, rows in weather.groupby("origin"):
        known = rows.set_index(rows["time_hour"] + pd.Timedelta(hours=1))[WEATHER].astype(float).sort_index()
        parts.append(known.reindex(hours, method="ffill", tolerance=STALE).assign(origin=origin))
    return _keyed_by_hour(pd.concat(parts), WEATHER)


def departures_table(flights: pd.DataFrame, hours: pd.DatetimeIndex) -> pd.DataFrame:
    """Return what each airport's departures looked like at the start of each hour.

    Only departures that had happened by then count, whatever their schedule said: how many in the last three
    hours, their mean delay (minutes), the share over 15 minutes, and how many flights were waiting past their time
    (for at most six hours; a cancelled flight waits that long).
    """
    parts = []
    for origin, rows in flights.groupby("origin"):
        leaves = departure(rows)
        left = leaves + pd.to_timedelta(rows["dep_delay"], unit="min")
        part = _recent_departures(left, rows["dep_delay"], hours)
        part["waiting"] = _waiting(leaves, left, hours)
        parts.append(part.assign(origin=origin))
    return _keyed_by_hour(pd.concat(parts), DEPARTURES)


def _recent_departures(left: pd.Series, delay: pd.Series, hours: pd.DatetimeIndex) -> pd.DataFrame:
    happened = pd.DataFrame({"left": left, "delay": delay}).dropna().sort_values("left")
    moments = _naive(happened["left"])
    at = hours.tz_localize(None).to_numpy()
    first = np.searchsorted(moments, at - RECENT, side="right")
    last = np.searchsorted(moments, at, side="right")
    count = (last - first).astype(float)
    minutes = happened["delay"].to_numpy()

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return np.divide(total[last] - total[first], count, out=np.full(len(at), np.nan), where=count > 0)

    columns = {"departed": count, "mean_delay": mean(minutes), "late_share": mean((minutes > 15).astype(float))}
    return pd.DataFrame(columns, index=hours)


def _waiting(leaves: pd.Series, left: pd.Series, hours: pd.DatetimeIndex) -> np.ndarray:
    """Count flights whose scheduled time has passed and that have not left, nor been given up."""
    given_up = leaves + GIVEN_UP
    until = left.fillna(given_up).where(lambda moment: moment < given_up, given_up)
    waits = until > leaves
    at = hours.tz_localize(None).to_numpy()
    begun = np.searchsorted(np.sort(_naive(leaves[waits])), at, side="right")
    ended = np.searchsorted(np.sort(_naive(until[waits])), at, side="right")
    return (begun - ended).astype(float)


def _naive(moments: pd.Series) -> np.ndarray:
    return moments.dt.tz_localize(None).to_numpy()


def landed(flights: pd.DataFrame) -> pd.Series:
    """Return when flights had landed for certain (UTC): departure, the time in the air, and an hour."""
    return departure(flights) + pd.to_timedelta(flights["dep_delay"] + flights["air_time"], unit="min") + TAXI


def history_table(flights: pd.DataFrame, by: str) -> pd.DataFrame:
    """Return each carrier's or destination's share of late arrivals before each New York day.

    An outcome counts from the day after the flight has landed (departure, plus the time in the air, plus an hour),
    not from the day it was scheduled for. Shares over the last 3 and 28 days are drawn towards the share of all
    flights of that time, with the weight of 20 flights.

    Args:
        flights: The flights; those without a recorded arrival do not count.
        by: ``carrier`` or ``dest``.
    """
    outcomes = pd.DataFrame({by: flights[by], "late": label(flights), "day": local_day(landed(flights))}).dropna()
    first, last = local_day(departure(flights)).agg(["min", "max"])
    days = pd.date_range(first, last, freq="D", name="day")
    grouped = outcomes.groupby(["day", by])["late"]
    late_flights = grouped.sum().unstack(by).reindex(days).fillna(0.0)
    all_flights = grouped.count().unstack(by).reindex(days).fillna(0.0)
    rates = {
        "late_rate_3d": _past_rate(late_flights, all_flights, 3),
        "late_rate_28d": _past_rate(late_flights, all_flights, 28),
    }
    frame = pd.concat({name: rate.stack(future_stack=True) for name, rate in rates.items()}, axis=1).reset_index()
    frame["event_timestamp"] = frame["day"].dt.tz_localize(ZONE).dt.tz_convert("UTC")
    frame[f"{by}_day"] = day_key(frame[by], frame["day"])
    frame[KNOWN_AT] = epoch_seconds(frame["event_timestamp"])
    return frame[[f"{by}_day", "event_timestamp", KNOWN_AT, *HISTORY]]


def _past_rate(late: pd.DataFrame, flights: pd.DataFrame, days: int) -> pd.DataFrame:
    """Return the smoothed share over the ``days`` days before each day, which itself doesn't count."""
    late_sum = late.rolling(days, min_periods=1).sum().shift(1)
    count = flights.rolling(days, min_periods=1).sum().shift(1)
    overall = late_sum.sum(axis=1) / count.sum(axis=1).replace(0.0, np.nan)
    return late_sum.add(overall * PRIOR_FLIGHTS, axis=0) / (count + PRIOR_FLIGHTS)


def _keyed_by_hour(frame: pd.DataFrame, features: list[str]) -> pd.DataFrame:
    frame = frame.rename_axis("event_timestamp").reset_index()
    frame["origin_hour"] = hour_key(frame["origin"], frame["event_timestamp"])
    frame[KNOWN_AT] = epoch_seconds(frame["event_timestamp"])
    return frame[["origin_hour", "event_timestamp", KNOWN_AT, *features]]
