"""A profile of each table: what its columns hold, for people and for later comparison. No value of a row is in it."""

from __future__ import annotations

from typing import Any

import pandas as pd

FEW = 20  # a text column with as few distinct values is told value by value


def table_profile(table: pd.DataFrame) -> dict[str, Any]:
    """Return rows, duplicates, and for each column its type, missing share, distinct values, and distribution."""
    return {
        "rows": len(table),
        "duplicate_rows": int(table.duplicated().sum()),
        "columns": {str(name): _column(table[name]) for name in table.columns},
    }


def _column(values: pd.Series) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": str(values.dtype),
        "missing_share": float(values.isna().mean()) if len(values) else 0.0,
        "distinct": int(values.nunique()),
    }
    present = values.dropna()
    if values.dtype.kind in "if" and len(present):
        quantiles = present.quantile([0.05, 0.5, 0.95])
        told |= {"minimum": float(present.min()), "mean": float(present.mean()), "maximum": float(present.max())}
        told |= {f"quantile_{int(at * 100):02}": float(value) for at, value in quantiles.items()}
    elif values.dtype.kind == "M" and len(present):
        told |= {"minimum": present.min().isoformat(), "maximum": present.max().isoformat()}
    elif told["distinct"] <= FEW:
        told["shares"] = {str(k): float(v) for k, v in present.value_counts(normalize=True).sort_index().items()}
    return told
