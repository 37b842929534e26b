"""What modules of the Ansible roles do where it needs no machine of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

LIBRARY = Path(__file__).parents[2] / "ansible" / "library"


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, LIBRARY / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("own", "shut"), [(True, True), (False, False)])
def test_the_home_of_an_account_that_goes_is_shut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: bool, shut: bool
) -> None:
    """Its number is somebody else's next; a home that isn't its own is left alone."""
    remove = _module("terrace_remove")
    home = tmp_path / "ann"
    home.mkdir(mode=0o755)
    uid = os.getuid() if own else os.getuid() + 1
    calls: list[object] = []

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        calls.append(command[0])
        return subprocess.CompletedProcess(command, 0 if command[0] == "id" else 2)

    monkeypatch.setattr(remove, "_run", run)
    monkeypatch.setattr(remove.pwd, "getpwnam", lambda _name: SimpleNamespace(pw_dir=str(home), pw_uid=uid))
    monkeypatch.setattr(remove.os, "chown", lambda path, *owner: calls.append((path, owner)))
    remove._remove_user("ann")
    given = [(home, (0, 0))] if shut else []
    assert calls == ["id", "userdel", *given, "getent"]
    assert home.stat().st_mode & 0o777 == (0o700 if shut else 0o755)
