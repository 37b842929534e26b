"""What the project tells Feast: entities, feature views over the offline tables, and the service the model uses.

The online store keeps the latest row for each key, so each key names its moment (``JFK 2013-07-04T12``,
``UA 2013-07-04``): looking up the key of one flight's moment of prediction gives what was known then, also when newer
rows exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from flights.known import KNOWN_AT
from flights.schedule import CATEGORIES, SCHEDULE_FEATURES
from flights.tables import DEPARTURES, HISTORY, WEATHER

if TYPE_CHECKING:
    from feast import Entity, FeatureService
    from feast.feature_view import FeatureView
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource

SERVICE = "flights_delay"
SPINE_TABLE = "flights_spine"


@dataclass(frozen=True)
class View:
    """A feature view: its name without the project's prefix, the key it is looked up by, and its features."""

    name: str
    key: str
    features: tuple[str, ...]

    @property
    def table(self) -> str:
        """The name of the offline table, and of the view in Feast, where projects share a namespace."""
        return f"flights_{self.name}"

    @property
    def columns(self) -> list[str]:
        """The model's names of the features."""
        return [f"{self.name}__{feature}" for feature in self.features]


VIEWS = (
    View("weather", "origin_hour", tuple(WEATHER)),
    View("departures", "origin_hour", tuple(DEPARTURES)),
    View("carrier", "carrier_day", tuple(HISTORY)),
    View("dest", "dest_day", tuple(HISTORY)),
)
STORED_FEATURES = [column for view in VIEWS for column in view.columns]
MODEL_FEATURES = [*SCHEDULE_FEATURES, *STORED_FEATURES]
NUMERIC_FEATURES = [column for column in MODEL_FEATURES if column not in CATEGORIES]


def model_name(column: str) -> str:
    """Return the model's name of a column that Feast named (``flights_weather__temp`` → ``weather__temp``)."""
    return column.removeprefix("flights_")


@cache
def entities() -> dict[str, Entity]:
    """Return what features are looked up by, by join key."""
    from feast import Entity, ValueType

    return {
        key: Entity(name=f"flights_{key}", join_keys=[key], value_type=ValueType.STRING)
        for key in sorted({view.key for view in VIEWS})
    }


@cache
def feature_views() -> tuple[FeatureView, ...]:
    """Return the views for ``feast apply``."""
    from feast import FeatureView, Field
    from feast.types import Float64, Int64

    return tuple(
        FeatureView(
            name=view.table,
            entities=[entities()[view.key]],
            ttl=timedelta(0),
            schema=[Field(name=KNOWN_AT, dtype=Int64)] + [Field(name=name, dtype=Float64) for name in view.features],
            source=_source(view),
            online=True,
        )
        for view in VIEWS
    )


def _source(view: View) -> PostgreSQLSource:
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource

    return PostgreSQLSource(name=view.table, table=view.table, timestamp_field="event_timestamp")


def feature_service() -> FeatureService:
    """Return the service that names all that the model looks up."""
    from feast import FeatureService

    return FeatureService(name=SERVICE, features=list(feature_views()))
