"""The audit log on disk: nothing acknowledged is lost, and whatever is done to it shows."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from components.audit.programs.audit_log import store as program
from components.audit.programs.audit_log.chain import sealed
from components.audit.programs.audit_log.store import Store
from tests.components.audit_world import DAY, KEY, edit, event, filled, records, segment

Open = Callable[[Path], Store]


def problems(folder: Path) -> list[str]:
    store = Store(folder, KEY)
    try:
        return store.verify()
    finally:
        store.close()


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens logs, and closes them at the end."""
    stores: list[Store] = []

    def open_log(folder: Path) -> Store:
        stores.append(Store(folder, KEY))
        return stores[-1]

    yield open_log
    for store in stores:
        store.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of six records."""
    filled(tmp_path / "log", 6)
    return tmp_path / "log"


def changed(name: str, value: Any, number: int = 3) -> Callable[[list[str]], list[str]]:
    def change(lines: list[str]) -> list[str]:
        record = json.loads(lines[number - 1])
        return [*lines[: number - 1], json.dumps({**record, name: value}, sort_keys=True), *lines[number:]]

    return change


def test_a_log_that_nobody_touched_is_in_order(log: Path) -> None:
    assert problems(log) == []
    assert [record["sequence"] for record in records(log)] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed("actor", "bob"), ["record 3 was changed: it doesn't have its seal"]),
        (changed("outcome", "refused", 6), ["record 6 was changed: it doesn't have its seal"]),
        (changed("time", "2026-03-02T12:00:00.000+00:00", 1), ["record 1 was changed: it doesn't have its seal"]),
        (lambda lines: [*lines[:2], *lines[3:]], ["record 3 is missing before record 4"]),
        (lambda lines: lines[2:], ["records 1 to 2 are missing before record 3"]),
        (lambda lines: lines[:4], ["records 5 to 6 are missing at the end"]),
        (lambda _lines: [], ["records 1 to 6 are missing at the end"]),
        (lambda lines: [*lines, lines[1]], ["record 2 stands after record 6: out of order"]),
        (lambda lines: [*lines[:2], "{", *lines[3:]], ["line 3 of 2026-03-01.jsonl can't be read: it was changed"]),
    ],
)
def test_what_was_done_to_it_is_said(log: Path, change: Callable[[list[str]], list[str]], said: list[str]) -> None:
    edit(log, change)
    assert problems(log) == said


def test_records_in_another_order_are_named(log: Path) -> None:
    edit(log, lambda lines: [*lines[:2], lines[3], lines[2], *lines[4:]])
    assert problems(log) == [
        "record 3 is missing before record 4",
        "record 3 stands after record 4: out of order",
    ]


def test_a_record_sealed_by_another_key_is_not_the_logs(log: Path) -> None:
    def forged(lines: list[str]) -> list[str]:
        record = {**json.loads(lines[-1]), "actor": "bob"}
        return [*lines[:-1], json.dumps(sealed(b"another-key", record), sort_keys=True)]

    edit(log, forged)
    assert problems(log) == [
        "record 6 was changed: it doesn't have its seal",
        "the log's head names another record 6",
    ]


@pytest.mark.parametrize("with_head", [True, False])
def test_the_end_cut_off_shows_also_after_the_writer_went_on(opened: Open, log: Path, *, with_head: bool) -> None:
    edit(log, lambda lines: lines[:4])
    if not with_head:
        (log / "head.json").unlink()
    store = opened(log)
    store.append("gateway", [event(9)], DAY)
    store.close()

    (said,) = problems(log)
    if with_head:
        assert said == "records 5 to 6 are missing before record 7"
    else:
        assert said.startswith("record 5: the writer found the log damaged: its head was changed or removed")


def test_a_head_of_before_shows_where_somebody_saw_a_later_one(opened: Open, log: Path, tmp_path: Path) -> None:
    before = tmp_path / "before"
    shutil.copytree(log, before)
    store = opened(log)
    store.append("gateway", [event(7)], DAY)
    head = store.head
    store.close()
    assert problems(before) == []

    store = opened(before)
    assert store.verify({head.sequence: head.seal}) == ["record 7 is missing at the end"]
    store.append("gateway", [event(8)], DAY)
    assert store.verify({head.sequence: head.seal}) == [
        "record 7 isn't the one that was there when the log was last verified"
    ]


def test_the_start_can_not_be_moved_by_who_has_no_key(log: Path) -> None:
    (log / "start.json").write_text(json.dumps({"chain": "x", "sequence": 2, "seal": "0", "hash": "0"}))
    edit(log, lambda lines: lines[2:])
    assert problems(log) == ["the log's start doesn't have its seal: it was changed or removed"]


def test_half_a_line_of_a_kill_is_cut_off_and_the_rest_goes_on(opened: Open, log: Path) -> None:
    with segment(log).open("a") as file:
        file.write('{"sequence": 7, "act')
    store = opened(log)
    store.append("gateway", [event(7)], DAY)
    assert store.verify() == []
    assert [record["sequence"] for record in records(log)][-2:] == [6, 7]


def test_a_kill_before_the_head_was_moved_loses_nothing_and_doubles_nothing(opened: Open, log: Path) -> None:
    head = (log / "head.json").read_bytes()
    store = opened(log)
    store.append("gateway", [event(7), event(8)], DAY)
    store.close()
    (log / "head.json").write_bytes(head)  # as it was when the kill came

    store = opened(log)
    assert store.head.sequence == 8
    assert store.append("gateway", [event(7), event(8), event(9)], DAY) == 1
    assert store.verify() == []
    assert [record["id"] for record in records(log)][-3:] == ["event-0007", "event-0008", "event-0009"]


def test_what_comes_twice_is_written_once_also_after_a_restart(opened: Open, log: Path) -> None:
    store = opened(log)
    assert store.append("gateway", [event(6), event(7), event(7)], DAY) == 1
    store.close()
    assert opened(log).append("gateway", [event(7)], DAY) == 0


@pytest.mark.parametrize("fails", ["write", "fsync", "rename"])
def test_a_full_disk_leaves_the_log_as_it_was(
    opened: Open, log: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    store, before = opened(log), segment(log).read_bytes()

    def full(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((program.Path, "rename") if fails == "rename" else (os, fails)), full)
        with pytest.raises(OSError, match="No space"):
            store.append("gateway", [event(7)], DAY)
    assert segment(log).read_bytes() == before
    assert store.append("gateway", [event(7)], DAY) == 1, "it was not taken for written"
    assert store.verify() == []


def test_two_writers_are_one_too_many(opened: Open, log: Path) -> None:
    store = opened(log)
    with pytest.raises(BlockingIOError):
        opened(log)
    store.close()


def test_a_change_by_somebody_else_is_noticed_at_once(opened: Open, log: Path) -> None:
    store = opened(log)
    store.append("gateway", [event(7)], DAY)
    assert not store.touched(), "its own writing is no change"
    found = segment(log).stat()
    edit(log, changed("actor", "bob"))
    os.utime(segment(log), ns=(found.st_atime_ns, found.st_mtime_ns))
    assert store.touched()
    assert not store.touched(), "it is told once"
    edit(log, changed("actor", "eve"))
    store.append("gateway", [event(8)], DAY)
    assert store.touched(), "what is written after it doesn't hide it"


def days(opened: Open, folder: Path, count: int) -> Store:
    """Return a log with two records for each of so many days."""
    folder.mkdir(exist_ok=True)
    store = opened(folder)
    for day in range(count):
        store.append("gateway", [event(2 * day), event(2 * day + 1)], DAY + timedelta(days=day))
    return store


def test_what_is_too_old_goes_and_the_rest_verifies(opened: Open, tmp_path: Path) -> None:
    store = days(opened, tmp_path / "log", 6)
    assert store.retain(days=3, now=DAY + timedelta(days=5)) == 2
    assert store.verify() == []
    left = records(tmp_path / "log")
    assert [record["sequence"] for record in left] == [5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert (left[-1]["action"], left[-1]["object"]) == ("retention", "records up to 4")
    store.close()
    edit(tmp_path / "log", lambda lines: lines[1:])
    assert problems(tmp_path / "log") == ["record 11 is missing before record 12"]


def test_retention_keeps_the_last_file_and_ends_what_a_kill_left_half_done(opened: Open, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    store = days(opened, folder, 3)
    first = sorted(folder.glob("*.jsonl"))[0]
    copy = first.read_bytes()
    assert store.retain(days=0, now=DAY + timedelta(days=900)) == 2
    store.close()
    first.write_bytes(copy)  # the kill came before it was removed

    store = opened(folder)
    assert not first.exists()
    assert store.verify() == []


def test_a_clock_that_is_set_back_opens_no_earlier_file(opened: Open, tmp_path: Path) -> None:
    store = days(opened, tmp_path / "log", 3)
    store.append("gateway", [event(99)], DAY - timedelta(days=9))
    assert store.verify() == []
    assert json.loads(segment(tmp_path / "log").read_text().splitlines()[-1])["id"] == "event-0099"


def test_the_log_is_read_in_pages_and_by_what_one_looks_for(opened: Open, tmp_path: Path) -> None:
    store = days(opened, tmp_path / "log", 3)
    store.append("root", [event(50, actor="bob", action="login")], DAY + timedelta(days=3))
    pages, cursor = [], ""
    while True:
        page = store.page(cursor, 3)
        pages.append([json.loads(line)["sequence"] for line in page["lines"]])
        if not (cursor := page["next"]):
            break
    assert pages == [[1, 2, 3], [4, 5, 6], [7]]
    with pytest.raises(ValueError, match="no cursor"):
        store.page("../x:0", 3)

    assert [one["sequence"] for one in store.find("", "bob", "", 9)] == [7]
    assert [one["sequence"] for one in store.find("", "", "predict", 2)] == [5, 6]
    assert [one["sequence"] for one in store.find("2026-03-03", "", "", 9)] == [5, 6, 7]
    assert [one["sequence"] for one in store.find("2026-03-03T12:00:00.001", "", "", 9)] == [7]
