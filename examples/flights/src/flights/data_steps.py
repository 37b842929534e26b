"""The steps that make data ready: extract, validate, version, features."""

from __future__ import annotations

import contextlib
import sys

import pandas as pd

from flights import source
from flights.errors import BadBatchError
from flights.runs import Run
from flights.schedule import KEYS, label, spine
from flights.settings import LOCK, Configuration, FeatureDatabase, file_hash

TRAINING_FILE = "training.parquet"


def extract(run: Run, _configuration: Configuration) -> str:
    """Read the source's tables into the run's folder."""
    tables = source.read_package()
    source.save(tables, run.data)
    return ", ".join(f"{len(table):,} {name}" for name, table in tables.items())


def validate(run: Run, _configuration: Configuration) -> str:
    """Refuse a batch that holds personal data or fails the schema or the statistics gate; leave its profile.

    Raises:
        BadBatchError: With every reason.
    """
    from flights import personal
    from flights.schemas import schema_failures
    from flights.statistics import profile, reference, statistics_failures

    tables = source.load(run.data)
    failures = [*personal.findings(tables), *schema_failures(tables)]
    if failures:
        raise BadBatchError(failures)
    batch = profile(tables)
    run.write("profile", batch)
    failures = statistics_failures(batch, reference())
    if failures:
        raise BadBatchError(failures)
    return f"schema and statistics of {len(batch['months'])} months fit"


def version(run: Run, _configuration: Configuration) -> str:
    """Add the data to DVC, push it, and keep its profile with its hash and the file that restores it.

    Raises:
        SettingsError: The libraries are not the lock's, so that its hash would say nothing.
        ServiceError: The remote or the registry doesn't answer.
    """
    from flights import dataset, environment, profiles, tracking

    environment.refuse_other_than_locked()
    data_hash, pointer = dataset.push(run.folder, run.data.name)
    lock = file_hash(LOCK)
    run.write("version", {"data_hash": data_hash, "pointer": pointer.name, "lock_hash": lock})
    tables = source.load(run.data)
    with tracking.run(run, "data"):
        tracking.log({f"rows.{name}": len(table) for name, table in tables.items()}, {})
        for name, table in tables.items():
            tracking.log_data(profiles.table_profile(table), f"profiles/{name}.json")
        for path in (run.file("profile.json"), pointer):
            tracking.artifact(path)
    return f"data {data_hash} is in the remote"


def features(run: Run, configuration: Configuration) -> str:
    """Fill the offline store, join features as they were known, bring what serving needs online."""
    from flights import store

    tables = source.load(run.data)
    flights = tables["flights"]
    planned = spine(flights)
    database = FeatureDatabase.from_environment()
    newest = _load_offline(tables, planned, database)
    with contextlib.redirect_stdout(sys.stderr):  # Feast prints progress there
        client = store.open_store(database)
        store.apply(client)
        joined = store.history(client, store.spine_query())
        since = pd.Timestamp(configuration.online_from, tz="UTC").to_pydatetime()
        online = store.materialize(client, since, newest.to_pydatetime())
    planned["late"] = label(flights)
    rows = planned.drop(columns=["event_timestamp", *KEYS]).merge(joined, on="flight_id", validate="one_to_one")
    rows.to_parquet(run.folder / TRAINING_FILE, index=False)
    missing = int(rows["late"].isna().sum())
    run.write("features", {"rows": len(rows), "unlabelled": missing})
    brought = ", ".join(online) or "nothing new"
    return f"{len(rows):,} flights joined, {missing:,} without a recorded arrival; online: {brought}"


def feature_tables(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the feature table of each view, by the view's name."""
    from flights.tables import departures_table, history_table, hours_of, weather_table

    flights = tables["flights"]
    hours = hours_of(flights)
    return {
        "weather": weather_table(tables["weather"], hours),
        "departures": departures_table(flights, hours),
        "carrier": history_table(flights, "carrier"),
        "dest": history_table(flights, "dest"),
    }


def _load_offline(tables: dict[str, pd.DataFrame], planned: pd.DataFrame, database: FeatureDatabase) -> pd.Timestamp:
    """Replace the offline tables; return the newest moment that any of them knows something of."""
    from flights import store
    from flights.definitions import SPINE_TABLE, VIEWS

    frames = feature_tables(tables)
    with store.connect(database) as connection:
        for view in VIEWS:
            store.replace_table(connection, view.table, frames[view.name], view.key)
        keys = planned[["flight_id", "event_timestamp", *KEYS]]
        store.replace_table(connection, SPINE_TABLE, keys, "flight_id")
    return max(frame["event_timestamp"].max() for frame in frames.values())
