"""Small made-up tables in the shape of the source's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from flights.schedule import ZONE
from flights.statistics import reference

ORIGINS = ("EWR", "JFK", "LGA")


def utc(text: str) -> pd.Timestamp:
    """Return a moment in UTC."""
    return pd.Timestamp(text, tz="UTC")


def flight(leaves: str, **other: Any) -> dict[str, Any]:
    """Return a row of the flights table for a scheduled departure given in UTC; it left and landed on time."""
    moment = utc(leaves)
    local = moment.tz_convert(ZONE)
    clock = local.hour * 100 + local.minute
    row = {
        "year": local.year,
        "month": local.month,
        "day": local.day,
        "dep_time": float(clock) or 2400.0,
        "sched_dep_time": clock,
        "dep_delay": 0.0,
        "arr_time": 1200.0,
        "sched_arr_time": 1200,
        "arr_delay": 0.0,
        "carrier": "UA",
        "flight": 1,
        "tailnum": "N1UA",
        "origin": "JFK",
        "dest": "BOS",
        "air_time": 60.0,
        "distance": 187,
        "hour": local.hour,
        "minute": local.minute,
        "time_hour": moment.floor("h"),
    }
    unknown = set(other) - set(row)
    assert not unknown, unknown
    return {**row, **other}


def flights_table(*rows: dict[str, Any]) -> pd.DataFrame:
    """Return a flights table; rows get different flight numbers."""
    return pd.DataFrame([{**row, "flight": number} for number, row in enumerate(rows, start=1)])


def weather(hour: str, **other: Any) -> dict[str, Any]:
    """Return a row of the weather table for an hour given in UTC."""
    moment = utc(hour)
    local = moment.tz_convert(ZONE)
    row = {
        "origin": "JFK",
        "year": local.year,
        "month": local.month,
        "day": local.day,
        "hour": local.hour,
        "temp": 50.0,
        "dewp": 40.0,
        "humid": 60.0,
        "wind_dir": 270.0,
        "wind_speed": 10.0,
        "wind_gust": np.nan,
        "precip": 0.0,
        "pressure": 1012.0,
        "visib": 10.0,
        "time_hour": moment,
    }
    return {**row, **other}


def batch(months: tuple[str, ...] = ("2013-01", "2013-02", "2013-03"), rows: int = 1000) -> dict[str, pd.DataFrame]:
    """Return five tables that are alike enough to the reference to pass both gates; two days a month."""
    random = np.random.default_rng(1)
    shares = reference()

    def draw(column: str) -> list[str]:
        kinds = list(shares[column])
        weights = np.array(list(shares[column].values()))
        return [str(kind) for kind in random.choice(kinds, rows, p=weights / weights.sum())]

    flown, observed = [], []
    for month in months:
        days = [pd.Timestamp(f"{month}-{day}", tz=ZONE) for day in ("04", "05")]
        for number, (carrier, origin, hour) in enumerate(zip(*map(draw, ("carrier", "origin", "hour")), strict=True)):
            leaves = (days[number % 2] + pd.Timedelta(hours=int(hour), minutes=number % 60)).tz_convert("UTC")
            late = {"arr_delay": 40.0} if number % 4 == 0 else {"arr_delay": -5.0}
            row = flight(leaves.tz_localize(None).isoformat(), carrier=carrier, origin=origin, distance=1000, **late)
            flown.append(row)
        hours = pd.date_range(days[0], days[1] + pd.Timedelta(days=1), freq="h").tz_convert("UTC").tz_localize(None)
        observed += [weather(str(hour), origin=origin) for hour in hours for origin in ORIGINS]
    return {
        "flights": flights_table(*flown),
        "weather": pd.DataFrame(observed),
        "planes": _plane(),
        "airports": _airport(),
        "airlines": pd.DataFrame({"carrier": list(shares["carrier"]), "name": "An airline"}),
    }


def _plane() -> pd.DataFrame:
    plane = {"tailnum": "N1UA", "year": 2000.0, "type": "Jet", "manufacturer": "BOEING", "model": "737"}
    return pd.DataFrame([{**plane, "engines": 2, "seats": 150, "speed": np.nan, "engine": "Turbo-fan"}])


def _airport() -> pd.DataFrame:
    airport = {"faa": "BOS", "name": "Logan", "lat": 42.4, "lon": -71.0, "alt": 19, "tz": -5, "dst": "A"}
    return pd.DataFrame([{**airport, "tzone": ZONE}])
