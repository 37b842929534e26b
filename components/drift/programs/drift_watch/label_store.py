"""Labels in the database of kept predictions, by a role that may do nothing else there."""

from __future__ import annotations

import json
from collections.abc import Sequence

import psycopg

from .intake import AwayError, Label
from .settings import Settings

# A label that is corrected stays the one that came first: how late labels come is measured by that.
KEEP = (
    "INSERT INTO labels (model, request_id, row_index, label, happened) "
    "SELECT %s, * FROM unnest(%s::text[], %s::integer[], %s::jsonb[], %s::timestamptz[]) "
    "ON CONFLICT (model, request_id, row_index) DO UPDATE SET label = excluded.label, happened = excluded.happened"
)


class LabelStore:
    """The table of labels; host and database come from libpq's variables (``PGHOST`` and so on)."""

    def __init__(self, settings: Settings) -> None:
        self._user, self._password = settings.labeller

    def keep(self, model: str, labels: Sequence[Label]) -> None:
        """Keep labels, all of them or none; one that is there already takes the new value.

        Raises:
            AwayError: The database does not take them.
        """
        columns = (
            [label.request for label in labels],
            [label.row for label in labels],
            [json.dumps(label.value) for label in labels],
            [label.happened for label in labels],
        )
        try:
            with psycopg.connect(user=self._user, password=self._password, connect_timeout=10) as connection:
                connection.execute(KEEP, (model, *columns))
        except psycopg.Error as error:
            raise AwayError(type(error).__name__) from error
