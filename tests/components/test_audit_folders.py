"""A platform that is made anew has a new key: its log begins anew beside the old one, and names the old one's end."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from components.audit.programs.audit_log.chain import key_name
from components.audit.programs.audit_log.folders import open_chain, remove_old
from components.audit.programs.audit_log.store import Store
from tests.components.audit_world import DAY, KEY, event, records, segment

NEW = b"the-key-of-the-platform-made-anew"


def begun(root: Path, key: bytes, *numbers: int) -> Store:
    """Open a chain, write some events, and close it."""
    store = open_chain(root, key)
    store.append("gateway", [event(number) for number in numbers], DAY)
    store.close()
    return store


def test_a_chain_is_gone_on_with_by_the_same_key(tmp_path: Path) -> None:
    begun(tmp_path, KEY, 1, 2)
    store = begun(tmp_path, KEY, 3)
    assert store.verify() == []
    assert [one["action"] for one in records(store.folder)] == ["begin", "predict", "predict", "predict"]
    assert records(store.folder)[0]["detail"] == "no log was there"


def test_another_key_begins_another_chain_that_names_the_end_of_the_one_before(tmp_path: Path) -> None:
    old = begun(tmp_path, KEY, 1, 2)
    before = {path: path.read_bytes() for path in old.folder.iterdir()}
    new = begun(tmp_path, NEW, 3)
    assert new.verify() == old.verify() == []
    assert {path: path.read_bytes() for path in old.folder.iterdir()} == before
    said = records(new.folder)[0]["detail"]
    assert said == f"before it: {key_name(KEY)}, 3 records, the last sealed {old.head.seal}"
    assert {one["id"] for one in new.find("", "", "predict", 9)} == {"event-0001", "event-0002", "event-0003"}


def test_an_end_that_can_not_be_read_is_named_as_such(tmp_path: Path) -> None:
    old = begun(tmp_path, KEY, 1)
    (old.folder / "head.json").write_text("[]")
    new = begun(tmp_path, NEW)
    assert records(new.folder)[0]["detail"] == f"before it: {key_name(KEY)}, whose head can't be read"


def test_what_is_too_old_of_earlier_chains_goes(tmp_path: Path) -> None:
    old, new = begun(tmp_path, KEY, 1), begun(tmp_path, NEW, 2)
    for store in (old, new):
        segment(store.folder).rename(store.folder / "2026-03-01.jsonl")
    remove_old(tmp_path, new.folder, 30, DAY + timedelta(days=30))
    assert old.folder.exists()
    remove_old(tmp_path, new.folder, 30, DAY + timedelta(days=31))
    assert not old.folder.exists()
    assert len(records(new.folder)) == 2, "its own files are removed with its start moved on, elsewhere"
