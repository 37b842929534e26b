"""Looking for records holds up no writer, and reads no more than it must, from the end on."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from components.audit.programs.audit_log import reading
from components.audit.programs.audit_log.store import Store
from tests.components.audit_world import DAY, KEY, event, filled, segment


def found(log: Path, most: int) -> list[int]:
    return [one["sequence"] for one in reading.find(log.parent, "", "", "", most)]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of nine records."""
    filled(tmp_path / "log", 9)
    return tmp_path / "log"


@pytest.mark.parametrize("size", [1, 7, 64, 2000, 2**16])
def test_the_last_records_come_in_their_order_whatever_a_block_holds(
    log: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(reading, "BLOCK_BYTES", size)
    assert found(log, 99) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert found(log, 2) == [8, 9]
    with segment(log).open("a") as file:
        file.write('{"sequence": 10, "ti')  # being written
    assert found(log, 2) == [8, 9]


def test_no_record_is_read_that_is_not_needed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (log / "2026-02-01.jsonl").write_bytes(segment(log).read_bytes())
    read = []
    monkeypatch.setattr(reading, "parsed", lambda line: read.append(line) or json.loads(line or "{}"))
    assert found(log, 3) == [7, 8, 9]
    assert len(read) == 4, "these, and what is behind the last line's end"


def test_a_file_that_retention_removes_meanwhile_is_left_out(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = log / "2026-02-01.jsonl"
    old.write_bytes(segment(log).read_bytes())
    (log / "2026-02-02.jsonl").symlink_to(log / "gone-before-it-is-looked-at")
    whole = reading.parsed
    monkeypatch.setattr(reading, "parsed", lambda line: old.unlink(missing_ok=True) or whole(line))
    assert found(log, 99) == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_who_looks_for_records_holds_up_no_writer(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(log, KEY)
    written, looking = threading.Event(), threading.Event()

    def slow(line: bytes) -> dict[str, object]:
        looking.set()
        assert written.wait(10), "the writer waits for who reads"
        found: dict[str, object] = json.loads(line or "{}")
        return found

    monkeypatch.setattr(reading, "parsed", slow)
    reader = threading.Thread(target=store.find, args=("", "", "", 1))
    reader.start()
    assert looking.wait(10)
    writer = threading.Thread(target=store.append, args=("gateway", [event(10)], DAY + timedelta(days=1)))
    writer.start()
    writer.join(5)
    waits = writer.is_alive()
    written.set()
    reader.join()
    writer.join()
    store.close()
    assert not waits
