"""Bring kept predictions from the spool to the database: ``python -m model_sync.keep``.

The database's role may insert, and remove what is older than the database itself says; it reads nothing.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from prometheus_client import start_http_server

from .shipping import RefusedError, Row, Shipper, StoreAwayError
from .spool import Spool

INTERVAL_SECONDS = 2
CONNECT_SECONDS = 10
# Without a conflict's target it takes no right to read; a line that comes twice, after a crash, is there already.
INSERT = (
    "INSERT INTO predictions (id, model, version, purpose, at, request_id, inputs, outputs) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)


class Database:
    """The predictions' database; the connection's settings come from libpq's variables (``PGHOST`` and so on)."""

    def insert(self, rows: Sequence[Row]) -> None:
        """Add the rows, all of them or none."""
        with _connection() as connection, connection.cursor() as cursor:
            cursor.executemany(INSERT, rows)

    def expire(self) -> None:
        """Remove what is older than is to be kept."""
        with _connection() as connection:
            connection.execute("SELECT expire()")


@contextmanager
def _connection() -> Iterator[psycopg.Connection[Any]]:
    """Connect for one transaction; a connection that is kept would have to be watched."""
    try:
        with psycopg.connect(connect_timeout=CONNECT_SECONDS) as connection:
            yield connection
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise RefusedError(str(error)) from error
    except psycopg.Error as error:  # a missing right or table too: people can mend it
        raise StoreAwayError(str(error)) from error


def main() -> None:
    """Ship again and again until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    start_http_server(int(os.environ["PREDICTIONS_PORT"]), addr=os.environ.get("LISTEN", "127.0.0.1"))
    shipper = Shipper(Spool(Path(os.environ["PREDICTIONS_SPOOL"])), Database())
    while not ended.is_set():
        try:
            shipper.ship()
        except Exception:
            # A full disk, say: what waits goes on waiting, and the next try may find room.
            logging.exception("predictions could not be brought to the database")
        ended.wait(INTERVAL_SECONDS)


if __name__ == "__main__":
    main()
