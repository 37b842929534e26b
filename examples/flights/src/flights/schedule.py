"""What the published schedule says of a flight: its moments, keys into the feature store, features, and label."""

from __future__ import annotations

import pandas as pd

from flights.known import LEAD, refuse_known_later

ZONE = "America/New_York"
LATE_MINUTES = 15
CATEGORIES = ["carrier", "origin", "dest"]
SCHEDULE_FEATURES = [*CATEGORIES, "weekday", "departure_minute", "arrival_minute", "distance"]
KEYS = ["origin_hour", "carrier_day", "dest_day"]
_INPUT = ["year", "month", "day", "time_hour", "minute", "sched_dep_time", "sched_arr_time"]
_INPUT += ["carrier", "flight", "origin", "dest", "distance"]


def departure(flights: pd.DataFrame) -> pd.Series:
    """Return the scheduled departure in UTC.

    ``time_hour`` is the scheduled hour in UTC, right on both days on which the clocks change, where ``hour`` (local)
    is ambiguous.
    """
    return flights["time_hour"] + pd.to_timedelta(flights["minute"], unit="min")


def local_day(moments: pd.Series) -> pd.Series:
    """Return the New York date of moments in UTC, as timestamps at midnight without a zone."""
    return moments.dt.tz_convert(ZONE).dt.tz_localize(None).dt.floor("D")


def hour_key(origin: pd.Series, hour: pd.Series) -> pd.Series:
    """Return keys such as ``JFK 2013-07-04T12`` (UTC)."""
    return origin.astype(str) + _text(hour, " %Y-%m-%dT%H")


def day_key(value: pd.Series, day: pd.Series) -> pd.Series:
    """Return keys such as ``UA 2013-07-04`` (New York)."""
    return value.astype(str) + _text(day, " %Y-%m-%d")


def spine(flights: pd.DataFrame) -> pd.DataFrame:
    """Return one row a flight: its id, the moment of prediction, its keys, and its schedule features.

    Only the schedule's columns are looked at, so the result is the same before and after the flight.

    Returns:
        ``flight_id``, ``event_timestamp`` (UTC, two hours before scheduled departure), ``month`` (``2013-07``, of
        the scheduled departure in New York), ``KEYS``, ``SCHEDULE_FEATURES``; numbers as float64.
    """
    refuse_known_later(_INPUT, "spine")
    planned = flights[_INPUT]
    leaves = departure(planned)
    predicted_at = leaves - LEAD
    day = local_day(predicted_at)
    local = leaves.dt.tz_convert(ZONE)
    frame = pd.DataFrame(
        {
            "flight_id": _flight_id(planned),
            "event_timestamp": predicted_at,
            "month": _text(local_day(leaves), "%Y-%m"),
            "origin_hour": hour_key(planned["origin"], predicted_at.dt.floor("h")),
            "carrier_day": day_key(planned["carrier"], day),
            "dest_day": day_key(planned["dest"], day),
            "weekday": local.dt.dayofweek.astype(float),
            "departure_minute": _minutes(planned["sched_dep_time"]),
            "arrival_minute": _minutes(planned["sched_arr_time"]),
            "distance": planned["distance"].astype(float),
        }
    )
    return frame.join(planned[CATEGORIES].astype(str))


def _flight_id(flights: pd.DataFrame) -> pd.Series:
    date = _text(pd.to_datetime(flights[["year", "month", "day"]]), "%Y-%m-%d ")
    return date + flights["carrier"].astype(str) + flights["flight"].astype(str) + " " + flights["origin"].astype(str)


def _text(moments: pd.Series, layout: str) -> pd.Series:
    """Format moments; each distinct one once, since there are few among many flights."""
    codes, distinct = pd.factorize(moments)
    return pd.Series(pd.Series(distinct).dt.strftime(layout).to_numpy()[codes], index=moments.index)


def _minutes(clock: pd.Series) -> pd.Series:
    """Return minutes after midnight of a clock time such as 1745."""
    return (clock // 100 * 60 + clock % 100).astype(float)


def label(flights: pd.DataFrame) -> pd.Series:
    """Return 1.0 for an arrival over 15 minutes late, 0.0 for one that wasn't, missing where none is recorded.

    A flight without an arrival delay was cancelled or diverted, or its arrival wasn't recorded: whether it was late
    isn't known, so it is neither trained on nor judged by, only counted.
    """
    arrived = flights["arr_delay"].notna()
    return (flights["arr_delay"] > LATE_MINUTES).astype(float).where(arrived)
