"""Apply a feature view of people's scores and write two of them, as the feature store's own user and software.

``FEAST_FS_YAML_FILE_PATH`` says where the store is.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, ValueType
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
from feast.types import Float64

VIEW, ENTITY = "scores", "person"


def main() -> None:
    """Do so."""
    store = FeatureStore(fs_yaml_file=Path(os.environ["FEAST_FS_YAML_FILE_PATH"]))
    person = Entity(name=ENTITY, join_keys=[ENTITY], value_type=ValueType.STRING)
    # A query is no table that would have to be there.
    source = PostgreSQLSource(
        name=VIEW,
        query="SELECT 'ann' AS person, 0.25 AS score, now() AS event_timestamp",
        timestamp_field="event_timestamp",
    )
    schema = [Field(name="score", dtype=Float64)]
    store.apply([person, FeatureView(name=VIEW, entities=[person], ttl=timedelta(0), schema=schema, source=source)])
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    store.refresh_registry()  # what it has in memory is seconds old
    rows = pd.DataFrame({ENTITY: ["ann", "bob"], "score": [0.25, 0.75], "event_timestamp": [moment, moment]})
    store.write_to_online_store(VIEW, rows)


if __name__ == "__main__":
    main()
