"""A folder with a rendering: what is written and removed, and what is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrace.errors import InputError, OperationError
from terrace.rendered_folder import compare, write
from terrace.rendering import LEFT_OUT, Rendering, head

APP, GONE, SPACE = "01-service-app.yaml", "01-service-gone.yaml", "00-namespace-ml.yaml"


def rendering(environment: str = "dev", **texts: str) -> Rendering:
    """Return a rendering of ``service``, ``gone``, and others by a short name of their files."""
    names = {"app": APP, "gone": GONE, "space": SPACE, "secrets": LEFT_OUT}
    files = {names[name]: f"{head(environment)}{text}\n" for name, text in texts.items()}
    return Rendering(environment, files, ())


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    return {file.name: (file.stat().st_mtime_ns, file.stat().st_ino) for file in folder.iterdir()}


def test_only_what_changed_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "deploy" / "dev"
    first = write(rendering(space="a", app="b", gone="c"), folder)
    assert first.added == (SPACE, APP, GONE)
    before = stamps(folder)
    changes = write(rendering(space="a", app="other", secrets="d"), folder)
    assert (changes.added, changes.changed, changes.removed, changes.unchanged) == (
        (LEFT_OUT,),
        (APP,),
        (GONE,),
        (SPACE,),
    )
    after = stamps(folder)
    assert sorted(after) == [SPACE, APP, LEFT_OUT]
    assert after[SPACE] == before[SPACE]
    assert (folder / APP).read_text() == f"{head('dev')}other\n"
    again = write(rendering(space="a", app="other", secrets="d"), folder)
    assert not again
    assert again.diff == ""
    assert stamps(folder) == after


def test_nothing_is_written_by_comparing(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert compare(rendering(app="a"), missing).added == (APP,)
    assert not missing.exists()
    write(rendering(app="a", gone="b"), tmp_path)
    before = stamps(tmp_path)
    changes = compare(rendering(app="new", space="c"), tmp_path)
    assert stamps(tmp_path) == before
    assert changes.diff.splitlines() == [
        "--- /dev/null",
        f"+++ b/{SPACE}",
        "@@ -0,0 +1,2 @@",
        f"+{head('dev')}".rstrip(),
        "+c",
        f"--- a/{APP}",
        f"+++ b/{APP}",
        "@@ -1,2 +1,2 @@",
        f" {head('dev')}".rstrip(),
        "-a",
        "+new",
        f"--- a/{GONE}",
        "+++ /dev/null",
        "@@ -1,2 +0,0 @@",
        f"-{head('dev')}".rstrip(),
        "-b",
    ]


def test_files_of_others_stay(tmp_path: Path) -> None:
    mine = {"kustomization.yaml": "kind: Kustomization\n", "02-job-mine.yaml": "kind: Job\n", "notes.md": head("dev")}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "03-folder.yaml").mkdir()
    write(rendering(app="a"), tmp_path)
    assert not write(rendering(), tmp_path).added
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted([*mine, "03-folder.yaml"])
    assert {name: (tmp_path / name).read_text() for name in mine} == mine


@pytest.mark.parametrize("kind", ["text", "bytes", "link", "folder"])
def test_a_file_of_somebody_else_in_an_objects_place_is_refused(tmp_path: Path, kind: str) -> None:
    place = tmp_path / APP
    if kind == "link":
        (tmp_path / "mine").write_text(f"{head('dev')}a\n")
        place.symlink_to(tmp_path / "mine")
    elif kind == "folder":
        place.mkdir()
    else:
        place.write_bytes(b"kind: Service\n" if kind == "text" else b"\xff\xfe")
    before = stamps(tmp_path)
    with pytest.raises(InputError, match=f"somebody else's files are where objects would be: {APP}"):
        write(rendering(app="a", space="b"), tmp_path)
    assert stamps(tmp_path) == before


def test_a_folder_of_another_environment_is_refused(tmp_path: Path) -> None:
    write(rendering("prod", app="a"), tmp_path)
    with pytest.raises(InputError, match="it holds the environment prod, not dev"):
        write(rendering(app="a"), tmp_path)


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="it is a file"):
        write(rendering(app="a"), tmp_path / "file")
    with pytest.raises(OperationError, match="Not a directory"):
        write(rendering(app="a"), tmp_path / "file" / "below")


def test_where_not_all_can_be_written_all_stays_as_it_was(tmp_path: Path) -> None:
    write(rendering(app="a", gone="b"), tmp_path)
    before = stamps(tmp_path)
    (tmp_path / f".{LEFT_OUT}.new").mkdir()  # no file can be written there
    with pytest.raises(OperationError, match="can't be written"):
        write(rendering(app="new", space="c", secrets="d"), tmp_path)
    (tmp_path / f".{LEFT_OUT}.new").rmdir()
    assert stamps(tmp_path) == before


def test_a_run_that_was_killed_is_finished_by_the_next(tmp_path: Path) -> None:
    write(rendering(app="a", gone="b"), tmp_path)
    (tmp_path / f".{APP}.new").write_text("half")
    (tmp_path / SPACE).write_text(f"{head('dev')}c\n")  # written already
    changes = write(rendering(app="new", space="c"), tmp_path)
    assert (changes.changed, changes.removed, changes.unchanged) == ((APP,), (GONE,), (SPACE,))
    assert sorted(file.name for file in tmp_path.iterdir()) == [SPACE, APP]
