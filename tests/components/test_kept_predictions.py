"""Kept predictions: what stands in a record, what waits in the spool, and how it comes to the database."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.serving.programs.model_sync import spool
from components.serving.programs.model_sync.records import Keeper
from components.serving.programs.model_sync.shipping import RefusedError, Shipper, StoreAwayError
from components.serving.programs.model_sync.spool import Spool


def tensor(name: str, data: Any, shape: list[int] | None = None) -> Any:
    return SimpleNamespace(name=name, datatype="FP64", shape=shape or [len(data), 1], data=SimpleNamespace(root=data))


def ask(keeper: Keeper, *inputs: Any, place: str = "m", identifier: str | None = "r1", answer: Any = (0.5,)) -> None:
    keeper.keep(
        place,
        "7",
        SimpleNamespace(id=identifier, inputs=list(inputs)),  # type: ignore[arg-type]
        SimpleNamespace(outputs=[tensor("output-1", list(answer))]),  # type: ignore[arg-type]
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / spool.CURRENT).read_text().splitlines()]


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    return Keeper(Spool(tmp_path), {"email": "pii", "salary": "confidential"}, b"key")


def test_a_record_says_who_answered_what(keeper: Keeper, tmp_path: Path) -> None:
    ask(keeper, tensor("x", [1.0, None]))
    (record,) = lines(tmp_path)
    assert (record["model"], record["version"], record["purpose"], record["request_id"]) == (
        "m",
        "7",
        "production",
        "r1",
    )
    assert record["inputs"] == [{"name": "x", "datatype": "FP64", "shape": [2, 1], "data": [1.0, None]}]
    assert record["outputs"][0]["data"] == [0.5]
    assert record["at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("place", "identifier", "purpose"),
    [("m:candidate", "r", "candidate"), ("m:candidate", "terrace-trial-1", "trial"), ("m", None, "production")],
)
def test_a_record_says_what_it_was_for(
    keeper: Keeper, tmp_path: Path, place: str, identifier: str | None, purpose: str
) -> None:
    ask(keeper, place=place, identifier=identifier)
    assert [(record["model"], record["purpose"]) for record in lines(tmp_path)] == [("m", purpose)]


def test_inputs_are_masked_by_their_class_before_anything_is_written(keeper: Keeper, tmp_path: Path) -> None:
    for salary in ([5, 6], [5, None]):
        ask(keeper, tensor("email", ["ada@example.org", "x"]), tensor("salary", salary), tensor("y", [1]))
    text = (tmp_path / spool.CURRENT).read_text()
    assert "ada" not in text
    first, second = ({each["name"]: each for each in record["inputs"]} for record in lines(tmp_path))
    assert (first["email"]["masked"], first["email"]["data"]) == ("pii", None)
    assert first["salary"]["masked"] == "confidential"
    assert first["salary"]["data"][0] == second["salary"]["data"][0] != first["salary"]["data"][1]
    assert second["salary"]["data"][1] is None, "whether a value is missing is no secret, and drift needs it"
    assert first["y"]["data"] == [1]


def test_another_key_gives_other_hashes(keeper: Keeper, tmp_path: Path) -> None:
    ask(keeper, tensor("salary", [5]))
    ask(Keeper(keeper.spool, keeper.classes, b"other"), tensor("salary", [5]))
    first, second = (record["inputs"][0]["data"] for record in lines(tmp_path))
    assert first != second


def test_inputs_that_nobody_named_are_masked_where_a_source_stands_for_them_all(tmp_path: Path) -> None:
    keeper = Keeper(Spool(tmp_path), {"*": "pii", "y": "public"}, b"key")
    ask(keeper, tensor("x", [1]), tensor("y", [2]))
    assert [each["data"] for each in lines(tmp_path)[0]["inputs"]] == [None, [2]]


def test_what_json_has_no_word_for_is_kept_as_near_as_it_goes(keeper: Keeper, tmp_path: Path) -> None:
    array = SimpleNamespace(tolist=lambda: [[float("nan"), b"caf\xc3\xa9"]])
    ask(keeper, tensor("x", array.tolist()), answer=(float("inf"),))
    (record,) = lines(tmp_path)
    assert (record["inputs"][0]["data"], record["outputs"][0]["data"]) == ([[None, "café"]], [None])


def test_nothing_is_kept_where_no_spool_is_named(tmp_path: Path) -> None:
    assert Keeper.of("m", {}) is None
    masks = tmp_path / "masks.json"
    masks.write_text('{"m": {"x": "pii"}}')
    environment = {
        "PREDICTIONS_SPOOL": str(tmp_path / "spool"),
        "PREDICTIONS_MASKS": str(masks),
        "PREDICTIONS_KEY": "secret",
    }
    found = Keeper.of("m:candidate", environment)
    assert found
    assert (found.classes, found.key) == ({"x": "pii"}, b"secret")


def test_a_prediction_that_cannot_be_kept_fails_and_leaves_nothing_half_written(
    keeper: Keeper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(keeper, identifier="good")
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:20]))
    with pytest.raises(OSError, match="only 20 of") as caught:
        ask(keeper, identifier="lost")
    assert caught.value.errno == errno.ENOSPC
    monkeypatch.undo()
    ask(keeper, identifier="after")
    assert [record["request_id"] for record in lines(tmp_path)] == ["good", "after"]


def _write_for_ever(folder: Path, mark: int) -> None:
    mine = Spool(folder)
    for number in range(10**9):
        mine.append(f"{mark} {number}\n".encode())
        (folder / f"written-{mark}").write_text(str(number))  # acknowledged


def test_nothing_acknowledged_is_lost_when_writers_are_killed_while_the_spool_is_taken(tmp_path: Path) -> None:
    mine, found = Spool(tmp_path), dict[int, list[int]]()
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write_for_ever, args=(tmp_path, mark)) for mark in (1, 2)]
    for writer in writers:
        writer.start()
    deadline, taken = time.monotonic() + 20, 0
    while taken < 30 and time.monotonic() < deadline:
        taken += _drain(mine, found)
    for writer in writers:
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
    _drain(mine, found)
    assert taken == 30
    for mark in (1, 2):
        acknowledged = int((tmp_path / f"written-{mark}").read_text() or 0)
        assert found[mark] == list(range(len(found[mark])))
        assert len(found[mark]) >= acknowledged


def _drain(mine: Spool, found: dict[int, list[int]]) -> int:
    batches = mine.take()
    for batch in batches:
        for line in batch.read_text().splitlines():
            mark, number = line.split()
            found.setdefault(int(mark), []).append(int(number))
        batch.unlink()
    return len(batches)


class FakeStore:
    """A database that can be away, or refuse what holds a certain text."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[Any, ...]] = {}
        self.away = False
        self.refused = "\0"
        self.expired = 0
        self.before_commit: Callable[[], None] = lambda: None

    def insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if self.away:
            raise StoreAwayError("connection refused")
        if any(self.refused in str(row) for row in rows):
            raise RefusedError("invalid")
        self.before_commit()
        self.rows |= {row[0]: row for row in rows}

    def expire(self) -> None:
        self.expired += 1


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


def shipper(folder: Path, store: FakeStore) -> Shipper:
    return Shipper(Spool(folder), store)


def test_what_waits_comes_to_the_database_once(keeper: Keeper, tmp_path: Path, store: FakeStore) -> None:
    for number in range(3):
        ask(keeper, tensor("x", [number]))
    shipper(tmp_path, store).ship()
    assert [json.loads(row[6])[0]["data"] for row in store.rows.values()] == [[0], [1], [2]]
    assert store.expired == 1
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_away_loses_nothing(keeper: Keeper, tmp_path: Path, store: FakeStore) -> None:
    store.away = True
    mine = shipper(tmp_path, store)
    for _ in range(3):
        ask(keeper)
        mine.ship()
    assert mine._spool.waiting_bytes() > 0
    store.away = False
    mine.ship()
    mine.ship()
    assert len(store.rows) == 3


def test_a_shipper_that_dies_half_way_brings_nothing_twice(keeper: Keeper, tmp_path: Path, store: FakeStore) -> None:
    ask(keeper)

    def die() -> None:
        store.rows["seen"] = ()
        raise KeyboardInterrupt

    store.before_commit = die
    with pytest.raises(KeyboardInterrupt):
        shipper(tmp_path, store).ship()
    store.before_commit = lambda: None
    shipper(tmp_path, store).ship()
    assert len(store.rows) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_the_database_refuses_is_put_aside_and_holds_nothing_up(
    keeper: Keeper, tmp_path: Path, store: FakeStore
) -> None:
    store.refused = "poison"
    for identifier in ("a", "poison", "b"):
        ask(keeper, identifier=identifier)
    keeper.spool.append(b'{"cut off\n')
    shipper(tmp_path, store).ship()
    assert [row[5] for row in store.rows.values()] == ["a", "b"]
    rejected = (tmp_path / spool.REJECTED).read_text()
    assert "poison" in rejected
    assert "cut off" in rejected
