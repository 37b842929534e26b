"""A folder with a rendering: only what changed is written, and only files that a rendering made are touched."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from terrace.errors import InputError, OperationError
from terrace.rendering import LEFT_OUT, Rendering, head

OWN = re.compile(r"[0-9]{2,}-[a-z0-9.-]+\.yaml|" + re.escape(LEFT_OUT))
HEAD = re.compile(re.escape(head("@")).replace("@", "(?P<environment>[a-z0-9-]+)"))


@dataclass(frozen=True)
class Changes:
    """What a rendering changes in a folder: names of files, each sorted.

    Args:
        added: Files that aren't there yet.
        changed: Files that have another text.
        removed: Files whose object is gone.
        unchanged: Files that are as they should be.
        diff: All of it as a unified diff.
    """

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    unchanged: tuple[str, ...]
    diff: str

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def compare(rendering: Rendering, folder: Path) -> Changes:
    """Find out what ``write`` would change; change nothing.

    Raises:
        InputError: The folder is a file, holds another environment, or has a file of somebody else's where one of the
            rendering would be.
        OperationError: It can't be read.
    """
    there = _there(folder, rendering)
    texts = {name: there.get(name) for name in rendering.files}
    removed = tuple(sorted(set(there) - set(rendering.files)))
    wanted = sorted(rendering.files.items())
    return Changes(
        added=tuple(name for name, _ in wanted if texts[name] is None),
        changed=tuple(name for name, text in wanted if texts[name] not in (None, text)),
        removed=removed,
        unchanged=tuple(name for name, text in wanted if texts[name] == text),
        diff="".join(
            _diff(name, there.get(name), rendering.files.get(name)) for name in sorted({*there, *rendering.files})
        ),
    )


def write(rendering: Rendering, folder: Path) -> Changes:
    """Bring the folder to a rendering. Each file is its old or its new one; the next run finishes one that was killed.

    Raises:
        InputError: As ``compare`` does.
        OperationError: The folder can't be written to.
    """
    changes = compare(rendering, folder)
    staged: list[tuple[Path, Path]] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (*changes.added, *changes.changed):  # all of them first, so that a full disk leaves all as it was
            scratch = folder / f".{name}.new"
            staged.append((scratch, folder / name))
            scratch.write_text(rendering.files[name], encoding="utf-8")
        for scratch, file in staged:
            scratch.replace(file)
        for name in changes.removed:
            (folder / name).unlink()
    except OSError as error:
        raise OperationError(
            "the rendering can't be written there",
            where=str(folder),
            why=error.strerror,
            fix="name a folder that you may write to, or have it made yours",
        ) from None
    finally:
        for scratch, _ in staged:
            with contextlib.suppress(OSError):
                scratch.unlink()
    return changes


def _there(folder: Path, rendering: Rendering) -> dict[str, str]:
    """Return the files that a rendering made: name → text."""
    if folder.exists() and not folder.is_dir():
        raise InputError("it is a file", where=str(folder), fix="name a folder: -o DIR")
    found: dict[str, str] = {}
    foreign: list[str] = []
    try:
        names = sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []
        for name in names:
            if name not in rendering.files and not OWN.fullmatch(name):
                continue
            text = _text(folder / name)
            owner = HEAD.match(text) if text is not None else None
            if text is None or owner is None:
                foreign += [name] if name in rendering.files else []
            elif owner["environment"] != rendering.environment:
                raise _other(folder, name, owner["environment"], rendering.environment)
            else:
                found[name] = text
    except OSError as error:
        raise OperationError("it can't be read", where=str(folder), why=error.strerror) from None
    if foreign:
        raise InputError(
            f"somebody else's files are where objects would be: {', '.join(foreign)}",
            where=str(folder),
            why="their first line doesn't say that `terrace render` made them",
            fix="move them away, or name another folder",
        )
    return found


def _text(file: Path) -> str | None:
    """Return what stands in a file; None if it's none, or no text."""
    try:
        return file.read_bytes().decode() if file.is_file() and not file.is_symlink() else None
    except UnicodeDecodeError:
        return None


def _other(folder: Path, name: str, held: str, wanted: str) -> InputError:
    return InputError(
        f"it holds the environment {held}, not {wanted}",
        where=str(folder / name),
        fix=f"give each environment a folder of its own: -o {folder.parent / wanted}",
    )


def _diff(name: str, old: str | None, new: str | None) -> str:
    before, after = (f"{side}/{name}" if text is not None else "/dev/null" for side, text in (("a", old), ("b", new)))
    lines: Iterator[str] = difflib.unified_diff(
        (old or "").splitlines(keepends=True), (new or "").splitlines(keepends=True), before, after
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
