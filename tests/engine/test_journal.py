"""What a killed operation leaves, and what the next one makes of it."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from terrace.engine import journal
from terrace.engine.errors import StateError
from terrace.engine.journal import Journal


@pytest.fixture
def paths(tmp_path: Path) -> tuple[Path, Path]:
    checkpoint = tmp_path / "dev.json"
    checkpoint.write_bytes(b"{}")
    return tmp_path / "journals" / "dev.jsonl", checkpoint


def _left(path: Path, checkpoint: Path) -> journal.Left:
    left = journal.read(path, checkpoint)
    assert left is not None
    return left


def _kinds(path: Path, checkpoint: Path) -> list[str]:
    return [entry["t"] for entry in _left(path, checkpoint).entries]


def test_what_was_appended_is_read_back(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    written = Journal(path, checkpoint, "up")
    written.append([{"t": "a", "n": 1}, {"t": "b"}], durable=False)
    written.append([{"t": "c"}])
    written.close(remove=False)
    assert _kinds(path, checkpoint) == ["open", "a", "b", "c"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_entries_of_many_threads_are_all_there(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    written = Journal(path, checkpoint, "up")
    threads = [threading.Thread(target=lambda n=n: written.append([{"t": "x", "n": n}])) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    written.close(remove=False)
    assert sorted(entry["n"] for entry in _left(path, checkpoint).entries if entry["t"] == "x") == list(range(20))


def test_a_line_that_was_cut_off_never_was(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    written = Journal(path, checkpoint, "up")
    written.append([{"t": "a"}])
    written.close(remove=False)
    path.write_bytes(path.read_bytes() + b'[{"t": "b"')
    assert _kinds(path, checkpoint) == ["open", "a"]
    path.write_bytes(b'[{"t": "op')
    assert _kinds(path, checkpoint) == []


def test_what_is_in_the_checkpoint_already_is_not_applied_again(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    written = Journal(path, checkpoint, "up")
    written.append([{"t": "a"}])
    written.folding(b"new")
    written.close(remove=False)
    assert not _left(path, checkpoint).is_folded, "the new checkpoint is not there yet"
    checkpoint.write_bytes(b"new")
    left = _left(path, checkpoint)
    assert left.is_folded
    left.remove()
    assert journal.read(path, checkpoint) is None


def test_a_journal_can_be_folded_by_another_process_and_again(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    Journal(path, checkpoint, "up").close(remove=False)
    path.write_bytes(path.read_bytes() + b'[{"t": "cut o')
    _left(path, checkpoint).folding(b"killed before this was there")
    assert _kinds(path, checkpoint) == ["open", "folded"]
    left = _left(path, checkpoint)
    assert not left.is_folded
    left.folding(b"new")
    checkpoint.write_bytes(b"new")
    assert _left(path, checkpoint).is_folded


def test_what_was_begun_and_not_ended_is_unfinished(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    written = Journal(path, checkpoint, "up")
    for number, name in enumerate("abc"):
        written.append([{"t": "begin", "i": number, "op": "creating", "r": {"urn": name}}])
    written.append([{"t": "end", "i": 1}])
    written.close(remove=False)
    assert _left(path, checkpoint).unfinished() == [("creating", "a"), ("creating", "c")]


def test_a_journal_of_another_checkpoint_is_refused_and_kept(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    Journal(path, checkpoint, "up").close(remove=False)
    checkpoint.write_bytes(b"changed by another")
    with pytest.raises(StateError, match="changed since") as refused:
        journal.read(path, checkpoint)
    assert refused.value.fix
    assert path.exists()


@pytest.mark.parametrize("line", ["{broken", '{"t": "a"}', '[{"no": "kind"}]', '[{"t": "step"}]'])
def test_a_damaged_journal_is_named_with_its_line(paths: tuple[Path, Path], line: str) -> None:
    path, checkpoint = paths
    path.parent.mkdir()
    path.write_text(line + "\n")
    with pytest.raises(StateError) as damaged:
        journal.read(path, checkpoint)
    assert str(path) in str(damaged.value.where)


def test_a_journal_that_is_done_goes(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    checkpoint.unlink()
    Journal(path, checkpoint, "up").close(remove=True)
    assert not path.exists()
    assert journal.digest(checkpoint) == ""


def test_two_operations_never_share_a_journal(paths: tuple[Path, Path]) -> None:
    path, checkpoint = paths
    Journal(path, checkpoint, "up").close(remove=False)
    with pytest.raises(FileExistsError):
        Journal(path, checkpoint, "up")
    assert json.loads(path.read_text().splitlines()[0])[0]["operation"] == "up"


def test_a_full_disk_leaves_no_half_line_and_nobody_believes_it(
    paths: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, checkpoint = paths
    written = Journal(path, checkpoint, "up")
    write = os.write

    def full(handle: int, content: bytes) -> int:
        if len(content) < 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, content[: len(content) - 4])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space left"):
        written.append([{"t": "lost"}])
    monkeypatch.undo()
    with pytest.raises(OSError, match="the journal couldn't be written"):
        written.append([{"t": "later"}])
    written.close(remove=False)
    with pytest.raises(OSError, match="the journal couldn't be written"):
        written.append([{"t": "of a thread that outlived the operation"}])
    assert _kinds(path, checkpoint) == ["open"]
