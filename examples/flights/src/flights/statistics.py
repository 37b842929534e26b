"""The statistics gate: is this batch like the ones before it, and is each month like the others?

A schema sees rows one by one. It does not see that half of the weather is missing, that one airport fell out, or that
no flight is late any more. The reference is ``reference.json``, made from the training months by ``flights profile``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd

from flights.schedule import departure, label
from flights.tables import MAX_WIND_MPH, WEATHER

Profile = dict[str, Any]
SHARES = ("carrier", "origin", "hour")
LIMITS = {
    "flights_per_day": (400.0, 1400.0),
    "unlabelled_share": (0.0, 0.10),
    "late_share": (0.05, 0.50),
    "mean_arrival_delay": (-15.0, 45.0),
    "mean_distance": (800.0, 1300.0),
}
MAX_STABILITY_INDEX = 0.25  # above it a distribution counts as changed (the usual reading of this index)
MIN_WEATHER_COVERAGE = 0.97
MAX_MISSING_WEATHER_SHARE = 0.2  # of a column's values; 0.10 of the pressures of 2013 are missing
MAX_WILD_WIND_SHARE = 0.001
MAX_UNKNOWN_DEST_SHARE = 0.05
_FLOOR = 1e-4


def profile(tables: dict[str, pd.DataFrame]) -> Profile:
    """Return the batch's statistics: of each month, of the weather, and between the tables."""
    flights = tables["flights"]
    months = flights["year"].astype(str) + "-" + flights["month"].astype(str).str.zfill(2)
    return {
        "rows": {name: len(table) for name, table in tables.items()},
        "months": {month: _month(rows) for month, rows in flights.groupby(months)},
        "weather_coverage": _coverage(flights, tables["weather"]),
        "weather_missing": {name: float(tables["weather"][name].isna().mean()) for name in WEATHER},
        "wild_wind_share": float((tables["weather"]["wind_speed"] > MAX_WIND_MPH).mean()),
        "unknown_plane_share": float((~flights["tailnum"].isin(tables["planes"]["tailnum"])).mean()),
        "unknown_dest_share": float((~flights["dest"].isin(tables["airports"]["faa"])).mean()),
        "unknown_carriers": sorted(set(flights["carrier"]) - set(tables["airlines"]["carrier"])),
    }


def _month(rows: pd.DataFrame) -> Profile:
    late = label(rows)
    return {
        "flights_per_day": len(rows) / rows["day"].nunique(),
        "unlabelled_share": float(late.isna().mean()),
        "late_share": float(late.mean()),
        "mean_arrival_delay": float(rows["arr_delay"].mean()),
        "mean_distance": float(rows["distance"].mean()),
        **{column: _shares(rows[column]) for column in SHARES},
    }


def _shares(values: pd.Series) -> dict[str, float]:
    return {str(value): round(float(share), 6) for value, share in values.value_counts(normalize=True).items()}


def _coverage(flights: pd.DataFrame, weather: pd.DataFrame) -> dict[str, float]:
    """Return for each origin the share of the hours with flights that have weather."""
    hours = flights.assign(hour_utc=departure(flights).dt.floor("h"))[["origin", "hour_utc"]].drop_duplicates()
    observed = weather[["origin", "time_hour"]].drop_duplicates().assign(observed=True)
    joined = hours.merge(observed, how="left", left_on=["origin", "hour_utc"], right_on=["origin", "time_hour"])
    return {str(origin): float(rows.notna().mean()) for origin, rows in joined.groupby("origin")["observed"]}


def reference() -> Profile:
    """Return the committed reference: the mean shares over the training months."""
    return dict(json.loads(resources.files("flights").joinpath("reference.json").read_text(encoding="utf-8")))


def make_reference(batch: Profile, before: str) -> Profile:
    """Return the shares of a batch's months before a month (``2013-07``), averaged."""
    months = [statistics for month, statistics in batch["months"].items() if month < before]
    frames = {column: pd.DataFrame([month[column] for month in months]).fillna(0.0).mean() for column in SHARES}
    return {column: {str(k): round(float(v), 6) for k, v in shares.items()} for column, shares in frames.items()}


def stability_index(expected: dict[str, float], seen: dict[str, float]) -> float:
    """Return the population stability index of two distributions over the same kinds; 0 is no change."""
    kinds = sorted(expected.keys() | seen.keys())
    old = np.maximum([expected.get(kind, 0.0) for kind in kinds], _FLOOR)
    new = np.maximum([seen.get(kind, 0.0) for kind in kinds], _FLOOR)
    return float(np.sum((new - old) * np.log(new / old)))


def statistics_failures(batch: Profile, expected: Profile) -> list[str]:
    """Return a sentence for each statistic outside its limits."""
    failures = []
    for month, statistics in batch["months"].items():
        failures += _month_failures(month, statistics, expected)
    failures += [f"statistics: {month}: no flights" for month in _absent(batch["months"])]
    failures += _weather_failures(batch)
    missing = sorted(set(expected["origin"]) - set(batch["weather_coverage"]))
    if missing:
        failures.append(f"statistics: no flights from {', '.join(missing)}")
    if batch["unknown_dest_share"] > MAX_UNKNOWN_DEST_SHARE:
        failures.append(f"statistics: {batch['unknown_dest_share']:.1%} of flights go to airports not in the table")
    if batch["unknown_carriers"]:
        failures.append(f"statistics: carriers not in the table: {', '.join(batch['unknown_carriers'])}")
    return failures


def _absent(months: Iterable[str]) -> list[str]:
    """Return the months that are missing between the first and the last."""
    there = sorted(months)
    if not there:
        return []
    return [month for month in pd.period_range(there[0], there[-1], freq="M").astype(str) if month not in there]


def _weather_failures(batch: Profile) -> list[str]:
    failures = []
    for origin, share in batch["weather_coverage"].items():
        if share < MIN_WEATHER_COVERAGE:
            failures.append(
                f"statistics: weather of {origin} covers {share:.1%} of its hours with flights, at least "
                f"{MIN_WEATHER_COVERAGE:.0%} is needed"
            )
    for name, share in batch["weather_missing"].items():
        if name != "wind_gust" and share > MAX_MISSING_WEATHER_SHARE:  # without a gust there is nothing to record
            failures.append(f"statistics: {share:.1%} of the weather's {name} are missing")
    if batch["wild_wind_share"] > MAX_WILD_WIND_SHARE:
        failures.append(f"statistics: {batch['wild_wind_share']:.2%} of wind speeds are above {MAX_WIND_MPH:.0f} mph")
    return failures


def _month_failures(month: str, statistics: Profile, expected: Profile) -> list[str]:
    failures = []
    for name, (low, high) in LIMITS.items():
        if not low <= statistics[name] <= high:
            failures.append(f"statistics: {month}: {name} is {statistics[name]:.4g}, not within {low:g} to {high:g}")
    for column in SHARES:
        index = stability_index(expected[column], statistics[column])
        if index > MAX_STABILITY_INDEX:
            failures.append(
                f"statistics: {month}: the distribution of {column} changed (stability index {index:.2f}, "
                f"at most {MAX_STABILITY_INDEX})"
            )
    return failures
