"""The schema gate: what each table must look like, row by row."""

from __future__ import annotations

import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from flights.personal import mask

ORIGINS = ["EWR", "JFK", "LGA"]
_UTC = pd.DatetimeTZDtype("ns", "UTC")
_EXAMPLES = 3


def _between(kind: type, low: float, high: float, nullable: bool = False) -> pa.Column:
    return pa.Column(kind, pa.Check.in_range(low, high), nullable=nullable)


def _text(pattern: str, nullable: bool = False) -> pa.Column:
    return pa.Column(str, pa.Check.str_matches(pattern), nullable=nullable)


_MOMENT = {
    "year": _between(int, 2013, 2100),
    "month": _between(int, 1, 12),
    "day": _between(int, 1, 31),
    "hour": _between(int, 0, 23),
}
_FLIGHTS = pa.DataFrameSchema(
    {
        **_MOMENT,
        "dep_time": _between(float, 1, 2400, nullable=True),
        "sched_dep_time": _between(int, 0, 2359),
        "dep_delay": _between(float, -120, 2880, nullable=True),
        "arr_time": _between(float, 1, 2400, nullable=True),
        "sched_arr_time": _between(int, 0, 2400),
        "arr_delay": _between(float, -180, 2880, nullable=True),
        "carrier": _text(r"^[A-Z0-9]{2}$"),
        "flight": _between(int, 1, 9999),
        "tailnum": _text(r"^[A-Z0-9]{2,7}$", nullable=True),
        "origin": pa.Column(str, pa.Check.isin(ORIGINS)),
        "dest": _text(r"^[A-Z]{3}$"),
        "air_time": _between(float, 10, 1200, nullable=True),
        "distance": _between(int, 10, 6000),
        "minute": _between(int, 0, 59),
        "time_hour": pa.Column(_UTC),
    },
    unique=["year", "month", "day", "carrier", "flight", "origin"],
    strict=True,
)
_WEATHER = pa.DataFrameSchema(
    {
        "origin": pa.Column(str, pa.Check.isin(ORIGINS)),
        **_MOMENT,
        "temp": _between(float, -40, 130, nullable=True),
        "dewp": _between(float, -60, 100, nullable=True),
        "humid": _between(float, 0, 100, nullable=True),
        "wind_dir": _between(float, 0, 360, nullable=True),
        "wind_speed": pa.Column(float, pa.Check.ge(0), nullable=True),
        "wind_gust": pa.Column(float, pa.Check.ge(0), nullable=True),
        "precip": _between(float, 0, 10),
        "pressure": _between(float, 900, 1100, nullable=True),
        "visib": _between(float, 0, 10),
        "time_hour": pa.Column(_UTC),
    },
    strict=True,
)
_PLANES = pa.DataFrameSchema(
    {
        "tailnum": pa.Column(str, unique=True),
        "year": _between(float, 1940, 2100, nullable=True),
        "type": pa.Column(str),
        "manufacturer": pa.Column(str),
        "model": pa.Column(str),
        "engines": _between(int, 1, 8),
        "seats": _between(int, 1, 900),
        "speed": pa.Column(float, nullable=True),
        "engine": pa.Column(str),
    },
    strict=True,
)
_AIRPORTS = pa.DataFrameSchema(
    {
        "faa": pa.Column(str, pa.Check.str_length(3, 3), unique=True),
        "name": pa.Column(str),
        "lat": _between(float, -90, 90),
        "lon": _between(float, -180, 180),
        "alt": pa.Column(int),
        "tz": _between(int, -12, 14),
        "dst": pa.Column(str),
        "tzone": pa.Column(str, nullable=True),
    },
    strict=True,
)
_AIRLINES = pa.DataFrameSchema({"carrier": pa.Column(str, unique=True), "name": pa.Column(str)}, strict=True)
SCHEMAS = {
    "flights": _FLIGHTS,
    "weather": _WEATHER,
    "planes": _PLANES,
    "airports": _AIRPORTS,
    "airlines": _AIRLINES,
}


def schema_failures(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Return a sentence for each check that a table fails; none means that all of them fit."""
    failures = []
    for name, schema in SCHEMAS.items():
        try:
            schema.validate(tables[name], lazy=True)
        except SchemaErrors as error:
            failures += _sentences(name, error.failure_cases)
    return failures


def _sentences(table: str, cases: pd.DataFrame) -> list[str]:
    sentences = []
    for (column, check), group in cases.groupby(["column", "check"], dropna=False, sort=False):
        seen = [mask(text) for text in dict.fromkeys(group["failure_case"].astype(str))][:_EXAMPLES]
        sentences.append(f"schema: {table}.{column}: {check}: {len(group)} case(s), such as {', '.join(seen)}")
    return sentences
