"""What is known when: the guard between the data and the features.

A prediction is made two hours before scheduled departure. Each column of the flights table is either part of the
published schedule, or it is known later and refused, or it is not a column that this project knows, and refused too.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from flights.errors import KnownLaterError

LEAD = pd.Timedelta(hours=2)
SCHEDULED = frozenset(
    [
        "year",
        "month",
        "day",
        "hour",
        "minute",
        "time_hour",
        "sched_dep_time",
        "sched_arr_time",
        "carrier",
        "flight",
        "origin",
        "dest",
        "distance",
    ]
)
KNOWN_LATER = {
    "dep_time": "known at departure",
    "dep_delay": "known at departure",
    "arr_time": "known at arrival",
    "arr_delay": "known at arrival; it is what is to be predicted",
    "air_time": "known at arrival",
    "late": "the label",
    "tailnum": "recorded at departure: it is missing for cancelled flights alone, and planes are swapped until then",
}
KNOWN_AT = "known_at"


def refuse_known_later(columns: Iterable[str], where: str, allowed: Iterable[str] = ()) -> None:
    """Let only columns pass that are known at the moment of prediction.

    Args:
        columns: Names, with or without the prefix of a feature view (``view__`` or ``view:``).
        where: What wants to use them, for the message.
        allowed: Columns that are not the schedule's and that the caller answers for.

    Raises:
        KnownLaterError: Naming each refused column and when it is known.
    """
    admitted = SCHEDULED | set(allowed)
    refused = {}
    for column in columns:
        bare = column.replace(":", "__").rsplit("__", 1)[-1]
        if bare in KNOWN_LATER:
            refused[column] = KNOWN_LATER[bare]
        elif column not in admitted:
            refused[column] = "nothing is declared about when it is known"
    if refused:
        raise KnownLaterError(
            f"refused as a feature: {', '.join(sorted(refused))}",
            where=where,
            why="; ".join(f"{name}: {reason}" for name, reason in sorted(refused.items())),
            fix="leave the columns out, or make an aggregate of earlier flights with a moment at which it is known",
        )


def refuse_later_rows(frame: pd.DataFrame, moment: str, where: str) -> pd.DataFrame:
    """Check every joined row's moment of knowledge, then drop those columns.

    Args:
        frame: Rows with the moment of prediction, and for each feature view a column ``<view>__known_at`` with
            seconds since 1970 (missing where the view has no row, and so no features).
        moment: The column that holds the moment of prediction (UTC).
        where: What made the join, for the message.

    Returns:
        The frame without the ``known_at`` columns.

    Raises:
        KnownLaterError: A row holds a feature that was known only after its moment of prediction, or that doesn't say
            when it was known.
    """
    names = [str(column) for column in frame]
    views = sorted({name.rsplit("__", 1)[0] for name in names if "__" in name})
    columns = [f"{view}__{KNOWN_AT}" for view in views]
    if not columns or not set(columns) <= set(names):
        raise KnownLaterError("the features do not say when they were known", where=where, fix="join known_at too")
    predicted_at = epoch_seconds(frame[moment])
    for view, column in zip(views, columns, strict=True):
        features = [name for name in names if name.startswith(f"{view}__") and name != column]
        later = frame[column].notna() & (frame[column] > predicted_at)
        unsaid = frame[column].isna() & frame[features].notna().any(axis=1)
        for rows, what in ((later, "from after the prediction"), (unsaid, "that do not say when they were known")):
            if rows.any():
                raise KnownLaterError(
                    f"{int(rows.sum())} row(s) hold features of {view} {what}",
                    where=where,
                    fix="give each feature row the moment at which all of it is known as its event_timestamp",
                )
    return frame.drop(columns=columns)


def epoch_seconds(moments: pd.Series) -> pd.Series:
    """Return seconds since 1970 (whole numbers) of timestamps in UTC."""
    return (moments - pd.Timestamp(0, tz="UTC")) // pd.Timedelta(seconds=1)
