"""Whether flights were late, handed to the platform once they have landed; it judges what was predicted by that."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from flights.errors import SettingsError
from flights.inference import Platform
from flights.settings import Gateway


def landed_until(flights: pd.DataFrame, month: str | None) -> pd.DataFrame:
    """Return the flights that have landed by the end of a month such as ``2013-09`` (UTC); all of them without one.

    Raises:
        SettingsError: It is no month.
    """
    if month is None:
        return flights
    try:
        end = pd.Timestamp(datetime.strptime(month, "%Y-%m"), tz="UTC") + pd.offsets.MonthBegin(1)
    except ValueError:
        raise SettingsError("is no month", where=f"--until {month}", fix="write it as 2013-09") from None
    return flights[flights["landed"] < end]


def hand_over(model: str, flights: pd.DataFrame) -> int | None:
    """Hand over the labels of flights that the model was asked about by their ids.

    Returns:
        How many were kept; None where the platform takes no labels.
    """
    return Platform(Gateway.from_environment()).label(model, entries(flights))


def entries(flights: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the labels: of each flight whether it was late, and when that was known."""
    told = flights[["flight_id", "late", "landed"]].itertuples(index=False)
    return [{"id": flight, "label": late, "happened": landed.isoformat()} for flight, late, landed in told]
