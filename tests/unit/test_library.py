"""What modules of the Ansible roles do where it needs no machine of its own."""

from __future__ import annotations

import importlib.util
import os
import subprocess
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

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


class _Ended(Exception):
    """A module said how it went."""


class _Call:
    """What Ansible would give a module; it ends by `exit_json`."""

    check_mode = False

    def __init__(self, **params: Any) -> None:
        self.params = params

    def exit_json(self, **_: Any) -> None:
        raise _Ended


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two environments on one machine, each of which may harden it."""
    change, remove = _module("terrace_machine"), _module("terrace_remove")
    for module in (change, remove):
        monkeypatch.setattr(module, "KERNEL", tmp_path / "sys")
        monkeypatch.setattr(module, "MANIFESTS", tmp_path / "etc")
    setting, file = tmp_path / "sys" / "net" / "one", tmp_path / "crontab"
    setting.parent.mkdir(parents=True)
    setting.write_text("0\n")
    file.touch()
    file.chmod(0o644)

    def want(environment: str, value: str | None) -> None:
        (tmp_path / "etc" / environment / "manifest.d").mkdir(parents=True, exist_ok=True)
        settings, modes = ({"net.one": value}, {str(file): "0600"}) if value else ({}, {})
        call = _Call(environment=environment, entry="hardening-h", settings=settings, modes=modes)
        monkeypatch.setattr(change, "AnsibleModule", lambda **_: call)
        with pytest.raises(_Ended):
            change.main()

    def forget(environment: str) -> None:
        remove._restore(tmp_path / "etc" / environment / "manifest.d" / "hardening-h.before")

    def found() -> tuple[str, str]:
        return setting.read_text().strip(), f"{file.stat().st_mode & 0o777:o}"

    return SimpleNamespace(want=want, remove=forget, found=found)


@pytest.mark.parametrize("first", ["a", "b"])
@pytest.mark.parametrize("gone", ["removed", "turned off"])
def test_the_last_environment_to_go_brings_back_what_the_machine_had(machine: Any, first: str, gone: str) -> None:
    leave = machine.remove if gone == "removed" else lambda environment: machine.want(environment, None)
    machine.want("a", "1")
    machine.want("b", "1")
    assert machine.found() == ("1", "600")
    leave(first)
    assert machine.found() == ("1", "600"), "the other one wants it still"
    leave("b" if first == "a" else "a")
    assert machine.found() == ("0", "644")
