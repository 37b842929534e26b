"""What a step prints goes to its log too, which is kept with the model that it makes."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO


class _Both:
    """A text stream that writes to two others; all else is the first one's."""

    def __init__(self, shown: TextIO, kept: TextIO) -> None:
        self._shown, self._kept = shown, kept

    def write(self, text: str) -> int:
        self._kept.write(text)
        return self._shown.write(text)

    def flush(self) -> None:
        self._kept.flush()
        self._shown.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._shown, name)


@contextlib.contextmanager
def printed_to(path: Path) -> Iterator[None]:
    """Append what is printed meanwhile to ``path``, with when it began, and the error that ended it."""
    import sys

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8", buffering=1) as kept:
        kept.write(f"-- {path.stem}, {datetime.now(tz=UTC):%Y-%m-%d %H:%M:%S} UTC\n")
        shown = _Both(sys.stdout, kept), _Both(sys.stderr, kept)
        with contextlib.redirect_stdout(shown[0]), contextlib.redirect_stderr(shown[1]):  # type: ignore[type-var]
            try:
                yield
            except BaseException as error:
                kept.write("".join(traceback.format_exception_only(error)))
                raise
