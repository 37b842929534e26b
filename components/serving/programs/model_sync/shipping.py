"""Empties the spool of predictions into the database, whatever happens to either in between."""

from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from prometheus_client import Counter, Gauge

from .spool import Spool

LOG = logging.getLogger(__name__)
EXPIRE_SECONDS = 3600
CHUNK = 500
PLAIN = ("id", "model", "version", "purpose", "at", "request_id")
AS_JSON = ("inputs", "outputs")
KEPT = Counter("terrace_predictions_kept", "Predictions that the database has", ["model", "version", "purpose"])
REJECTED = Counter("terrace_predictions_rejected", "Lines of the spool that the database refused")
WAITING = Gauge("terrace_predictions_waiting_bytes", "What waits for the database (bytes)")
DATABASE_UP = Gauge("terrace_predictions_database_up", "Whether the database took what it was last given")

Row = tuple[Any, ...]


class StoreAwayError(Exception):
    """The database cannot be reached; later it may be."""


class RefusedError(Exception):
    """The database refuses a row, and always will."""


class Store(Protocol):
    """Where predictions are kept. Both methods raise :class:`StoreAwayError`."""

    def insert(self, rows: Sequence[Row]) -> None:
        """Add the rows, all of them or none; those that are there already stay as they are.

        Raises:
            RefusedError: One of them is no prediction.
        """

    def expire(self) -> None:
        """Remove what is older than is to be kept."""


class Shipper:
    """Empties the spool into the database."""

    def __init__(self, spool: Spool, store: Store) -> None:
        self._spool = spool
        self._store = store
        self._expire_at = 0.0

    def ship(self) -> None:
        """Bring over all that waits. While the database is away it goes on waiting."""
        try:
            for batch in self._spool.take():
                self._bring(batch)
            if time.monotonic() >= self._expire_at:
                self._store.expire()
                self._expire_at = time.monotonic() + EXPIRE_SECONDS
            DATABASE_UP.set(1)
        except StoreAwayError as error:
            LOG.warning("the database does not take predictions: %s", error)
            DATABASE_UP.set(0)
        WAITING.set(self._spool.waiting_bytes())

    def _bring(self, batch: Path) -> None:
        with batch.open("rb") as lines:
            for chunk in _chunks(lines):
                rows = list(self._rows(chunk))
                try:
                    self._store.insert([row for _, row in rows])
                except StoreAwayError:
                    raise
                except RefusedError:
                    self._one_by_one(rows)
                for _, row in rows:
                    KEPT.labels(*row[1:4]).inc()
        batch.unlink()

    def _one_by_one(self, rows: list[tuple[bytes, Row]]) -> None:
        """Bring what can be brought of a chunk in which the database refuses something."""
        for line, row in list(rows):
            try:
                self._store.insert([row])
            except StoreAwayError:
                raise
            except RefusedError as error:
                LOG.warning("a prediction is put aside: %s", error)
                self._put_aside(line)
                rows.remove((line, row))

    def _rows(self, lines: Iterable[bytes]) -> Iterator[tuple[bytes, Row]]:
        for line in lines:
            try:
                record = json.loads(line)
                yield line, (*(record[name] for name in PLAIN), *(json.dumps(record[name]) for name in AS_JSON))
            except (ValueError, KeyError, TypeError):  # a line that a power cut left unfinished
                self._put_aside(line)

    def _put_aside(self, line: bytes) -> None:
        self._spool.reject(line.rstrip(b"\n") + b"\n")
        REJECTED.inc()


def _chunks(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk
