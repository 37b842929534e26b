"""What makes the log tamper-evident: each record is sealed, and its seal covers the record before it.

A seal is HMAC-SHA256 over canonical JSON, by a key that is no part of the log. The head names the last record, so
that records missing at the end are seen; the start names the last one that retention has removed. Both are sealed, too.
The same code verifies on the host and at the operator's.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NOTHING = "0" * 64  # what the first record has as the one before it
SEAL = "hash"
SOURCE = "audit"  # of what the log says about itself
DAMAGE = "damage"  # that the writer found it damaged


def key_name(key: bytes) -> str:
    """Return what a key is called; nobody can tell the key, which is random and 192 bits long, from it."""
    return hashlib.sha256(b"name of " + key).hexdigest()[:16]


def canonical(record: Mapping[str, Any]) -> bytes:
    """Return the one way in which a record, without its seal, is written for sealing."""
    bare = {name: value for name, value in record.items() if name != SEAL}
    return json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def seal(key: bytes, record: Mapping[str, Any]) -> str:
    """Return the seal of a record."""
    return hmac.new(key, canonical(record), hashlib.sha256).hexdigest()


def sealed(key: bytes, record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record with its seal."""
    return {**record, SEAL: seal(key, record)}


def is_sealed(key: bytes, record: Any) -> bool:
    """Tell whether a record has the seal that it should have."""
    given = record.get(SEAL) if isinstance(record, dict) else None
    return isinstance(given, str) and hmac.compare_digest(given.encode(), seal(key, record).encode())


@dataclass(frozen=True)
class Point:
    """A place in a chain: after the record ``sequence``, whose seal is ``seal``.

    Args:
        chain: The chain's name, made when it began.
        sequence: The record's number; 0 before the first.
        seal: The record's seal.
    """

    chain: str
    sequence: int = 0
    seal: str = NOTHING

    def document(self, key: bytes) -> dict[str, Any]:
        """Return it as sealed JSON data."""
        return sealed(key, {"chain": self.chain, "sequence": self.sequence, "seal": self.seal})

    @classmethod
    def read(cls, key: bytes, document: Any) -> Point | None:
        """Return the point of sealed data; None where it doesn't have its seal."""
        if not is_sealed(key, document):
            return None
        try:
            return cls(str(document["chain"]), int(document["sequence"]), str(document["seal"]))
        except (KeyError, TypeError, ValueError):
            return None


@dataclass
class Verification:
    """Goes over a log's records, in their order, and notes all that doesn't fit.

    Args:
        key: What the records are sealed with.
        start: Where the log begins; None where that can't be read.
        known: Number → seal of records that were seen before, by somebody who kept them elsewhere.
    """

    key: bytes
    start: Point | None
    known: Mapping[int, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    records: int = 0
    _sequence: int = 0
    _previous: str | None = None

    def __post_init__(self) -> None:
        if self.start is None:
            self.problems.append("the log's start doesn't have its seal: it was changed or removed")
        else:
            self._sequence, self._previous = self.start.sequence, self.start.seal

    @property
    def reached(self) -> int:
        """The number of the last record that was looked at."""
        return self._sequence

    def lines(self, lines: Iterable[bytes | str], where: str) -> None:
        """Look at a file's lines."""
        for number, line in enumerate(lines, start=1):
            try:
                record = json.loads(line)
                place = int(record["sequence"]), str(record["previous"]), str(record[SEAL])
            except (ValueError, KeyError, TypeError):
                self.problems.append(f"line {number} of {where} can't be read: it was changed")
                self._sequence, self._previous = self._sequence + 1, None
            else:
                self._record(record, *place)

    def _record(self, record: Mapping[str, Any], sequence: int, previous: str, given: str) -> None:
        self.records += 1
        due = self._sequence + 1
        if self.start is None and self.records == 1:
            due, self._previous = sequence, previous  # nobody knows where it should begin
        if sequence > due:
            self.problems.append(f"{_records(due, sequence - 1)} missing before record {sequence}")
        elif sequence < due:
            self.problems.append(f"record {sequence} stands after record {self._sequence}: out of order")
        elif self._previous is not None and previous != self._previous:
            self.problems.append(f"record {sequence} doesn't follow the record before it: one of them was changed")
        if not is_sealed(self.key, record):
            self.problems.append(f"record {sequence} was changed: it doesn't have its seal")
        if (record.get("source"), record.get("action")) == (SOURCE, DAMAGE):
            self.problems.append(f"record {sequence}: the writer found the log damaged: {record.get('detail')}")
        if self.known.get(sequence, given) != given:
            self.problems.append(f"record {sequence} isn't the one that was there when the log was last verified")
        if sequence >= due:
            self._sequence, self._previous = sequence, given

    def end(self, head: Point | None) -> None:
        """Compare the end of the log with its head, and with what was seen before."""
        if head is None:
            self.problems.append("the log's head doesn't have its seal: it was changed or removed")
        last = max((head.sequence if head else 0, *self.known))
        if last > self._sequence:
            self.problems.append(f"{_records(self._sequence + 1, last)} missing at the end")
        elif head and head.sequence == self._sequence and self._previous not in (None, head.seal):
            self.problems.append(f"the log's head names another record {head.sequence}")


def _records(first: int, last: int) -> str:
    return f"record {first} is" if first == last else f"records {first} to {last} are"
