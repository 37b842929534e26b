"""The feature store: tables in by COPY, definitions applied, history out by a point-in-time join, and online."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import pandas as pd
import psycopg
from psycopg import sql

from flights.definitions import (
    SPINE_TABLE,
    STORED_FEATURES,
    VIEWS,
    entities,
    feature_service,
    feature_views,
    model_name,
)
from flights.errors import ServiceError
from flights.known import KNOWN_AT, refuse_known_later, refuse_later_rows
from flights.schedule import KEYS
from flights.settings import FeatureDatabase

if TYPE_CHECKING:
    from feast import FeatureStore

OFFLINE_SCHEMA = "offline"
_TYPES = {"O": "text", "f": "double precision", "i": "bigint", "M": "timestamptz"}


def connect(database: FeatureDatabase) -> psycopg.Connection:
    """Open a connection whose tables are the offline store's.

    Raises:
        ServiceError: PostgreSQL doesn't answer or refuses the account.
    """
    try:
        return psycopg.connect(
            host=database.host,
            port=database.port,
            dbname=database.database,
            user=database.user,
            password=database.password,
            options=f"-c search_path={OFFLINE_SCHEMA}",
            connect_timeout=10,
        )
    except psycopg.OperationalError as error:
        raise ServiceError(
            "cannot connect to the feature store",
            where=f"{database.host}:{database.port}/{database.database}",
            why=str(error).replace(database.password, "***"),
            fix="check that the platform is up (terrace status) and the FEATURE_STORE_* variables",
        ) from None


def replace_table(connection: psycopg.Connection, name: str, frame: pd.DataFrame, key: str) -> None:
    """Put a table in place of the one of that name, in one transaction: readers see the old one or the new one."""
    new, table = sql.Identifier(f"{name}_new"), sql.Identifier(name)
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(_TYPES[dtype.kind]))
        for column, dtype in frame.dtypes.items()
    )
    text = io.StringIO()
    frame.to_csv(text, index=False, header=False)
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(new))
        cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(new, columns))
        with cursor.copy(sql.SQL("COPY {} FROM STDIN (FORMAT csv)").format(new)) as copy:
            copy.write(text.getvalue())
        cursor.execute(sql.SQL("CREATE INDEX ON {} ({}, event_timestamp)").format(new, sql.Identifier(key)))
        cursor.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(table))
        cursor.execute(sql.SQL("ALTER TABLE {} RENAME TO {}").format(new, table))
        cursor.execute(sql.SQL("ANALYZE {}").format(table))


def open_store(database: FeatureDatabase) -> FeatureStore:
    """Return Feast's client; nothing of the configuration is written to a file."""
    from feast import FeatureStore, RepoConfig
    from sqlalchemy import URL

    registry = URL.create(
        "postgresql+psycopg", database.user, database.password, database.host, database.port, database.database
    )
    connection = {
        "type": "postgres",
        "host": database.host,
        "port": database.port,
        "database": database.database,
        "user": database.user,
        "password": database.password,
        "sslmode": "prefer",
    }
    return FeatureStore(
        config=RepoConfig(
            project=database.project,
            provider="local",
            entity_key_serialization_version=3,
            registry={
                "registry_type": "sql",
                "path": registry.render_as_string(hide_password=False),
                "cache_ttl_seconds": 60,
                "sqlalchemy_config_kwargs": {"connect_args": {"options": "-c search_path=registry"}},
            },
            offline_store={**connection, "db_schema": OFFLINE_SCHEMA},
            online_store={**connection, "db_schema": "online"},
        )
    )


def apply(store: FeatureStore) -> None:
    """Register the project's definitions beside those of other projects, and make the online tables."""
    store.apply([*entities().values(), *feature_views(), feature_service()])


def materialize(store: FeatureStore, since: datetime, until: datetime) -> dict[str, tuple[datetime, datetime]]:
    """Bring the rows online that aren't yet: from ``since`` the first time, later from where the last time ended.

    Returns:
        For each view that had anything new, the interval (UTC) that was brought online.
    """
    done = {}
    for view in VIEWS:
        intervals = store.get_feature_view(view.table).materialization_intervals
        start = max([since, *(end for _, end in intervals)])
        if start < until:
            store.materialize(start, until, feature_views=[view.table])
            done[view.name] = (start, until)
    return done


def history(store: FeatureStore, spine: pd.DataFrame | str, features: Iterable[str] = STORED_FEATURES) -> pd.DataFrame:
    """Join features to flights as they were known at each flight's moment of prediction.

    Args:
        store: Feast's client.
        spine: ``flight_id``, ``event_timestamp``, and the keys, as a table or as a query of the offline store.
        features: The model's names, ``view__feature``.

    Returns:
        One row a flight: ``flight_id``, ``event_timestamp``, and the features.

    Raises:
        KnownLaterError: A feature, a column of the spine, or a joined row is known only later.
    """
    features = list(features)
    refuse_known_later(features, "point-in-time join", allowed=STORED_FEATURES)
    if isinstance(spine, pd.DataFrame):
        refuse_known_later(spine.columns, "point-in-time join", allowed=["flight_id", "event_timestamp", *KEYS])
    asked = [f"flights_{name.replace('__', ':', 1)}" for name in features]
    views = {name.split(":")[0] for name in asked}
    moments = [f"{view.table}:{KNOWN_AT}" for view in VIEWS if view.table in views]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "pandas only supports SQLAlchemy", UserWarning)  # Feast's own query
        job = store.get_historical_features(entity_df=spine, features=asked + moments, full_feature_names=True)
        joined = job.to_df()
    joined = joined.rename(columns=model_name)
    joined["event_timestamp"] = pd.to_datetime(joined["event_timestamp"], utc=True)
    joined = refuse_later_rows(joined, "event_timestamp", "point-in-time join")
    return joined[["flight_id", "event_timestamp", *features]]


def spine_query() -> str:
    """Return the query for all flights' keys, which keeps the join inside the database."""
    return f"SELECT flight_id, event_timestamp, {', '.join(KEYS)} FROM {SPINE_TABLE}"  # noqa: S608 (constants)
