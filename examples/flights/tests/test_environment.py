"""An environment is that of the lock, or it is refused."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flights import environment
from flights.errors import SettingsError

PROJECT = Path(__file__).parents[1]
LOCK = '[[package]]\nname = "num-py"\nversion = "1.0"\n\n[[package]]\nname = "flights"\nsource = {editable = "."}\n'


def test_this_environment_is_that_of_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    environment.refuse_other_than_locked()


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("Num_Py", "1.0", []),
        ("num.py", "1.1", ["num-py is 1.1, locked is 1.0"]),
        ("left-pad", "9", ["left-pad 9 is not in the lock"]),
    ],
)
def test_another_library_or_version_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, version: str, said: list[str]
) -> None:
    (tmp_path / "uv.lock").write_text(LOCK)
    monkeypatch.chdir(tmp_path)
    installed: list[Any] = [SimpleNamespace(name=name, version=version)]
    assert environment.differences(installed=installed) == said
    monkeypatch.setattr(environment, "distributions", lambda: installed)
    if said:
        with pytest.raises(SettingsError, match="not that of the lock"):
            environment.refuse_other_than_locked()
