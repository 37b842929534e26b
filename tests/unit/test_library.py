"""What modules of the Ansible roles do where it needs no machine of its own."""

from __future__ import annotations

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from xmlrpc.client import Fault

import pytest

LIBRARY = Path(__file__).parents[2] / "ansible" / "library"


def _module(name: str, folder: Path = LIBRARY) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
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


class _Supervisor:
    """Plays supervisor's remote calls; the tests on the live platform have the real one."""

    def __init__(self, states: dict[str, str], changed: tuple[str, ...] = (), added: tuple[str, ...] = ()) -> None:
        self.states, self.changed, self.added, self.calls = states, changed, added, []

    def reloadConfig(self) -> list[list[list[str]]]:  # noqa: N802 - supervisor's own name
        return [[list(self.added), list(self.changed), []]]

    def getProcessInfo(self, program: str) -> dict[str, str]:  # noqa: N802
        if program not in self.states:
            raise Fault(10, f"BAD_NAME: {program}")
        return {"statename": self.states[program]}

    def stopProcess(self, program: str) -> None:  # noqa: N802
        self.calls.append(f"stop {program}")
        if self.states[program] != "BACKOFF":
            raise Fault(70, f"NOT_RUNNING: {program}")

    def startProcess(self, program: str) -> None:  # noqa: N802
        self.calls.append(f"start {program}")
        faults = {"BROKEN": Fault(50, f"SPAWN_ERROR: {program}"), "BACK": Fault(60, "ALREADY_STARTED")}
        if fault := faults.get(self.states[program]):
            raise fault

    def stopProcessGroup(self, program: str) -> None:  # noqa: N802
        self.calls.append(f"stop group {program}")

    def removeProcessGroup(self, program: str) -> None:  # noqa: N802
        self.calls.append(f"remove group {program}")

    def addProcessGroup(self, program: str) -> None:  # noqa: N802
        self.calls.append(f"add group {program}")
        self.states[program] = "STOPPED"  # it starts it a moment later


def test_a_supervisor_takes_over_what_is_new_or_changed_of_one_service_only() -> None:
    played = _Supervisor({"a": "RUNNING"}, changed=("a", "another"), added=("b", "other"))
    assert _module("terrace_supervisor")._run(played, ["a", "b"])
    assert played.calls == ["stop group a", "remove group a", "add group a", "add group b"]


def test_what_runs_is_left_alone_and_what_does_not_is_started() -> None:
    run = _module("terrace_supervisor")._run
    assert not run(_Supervisor({"a": "RUNNING", "b": "STARTING"}), ["a", "b"])
    played = _Supervisor({"a": "BACKOFF", "b": "EXITED", "c": "BACK", "other": "STOPPED"})
    assert run(played, ["a", "b", "c"])
    assert played.calls == ["stop a", "start a", "stop b", "start b", "stop c", "start c"]


def test_a_program_that_cannot_start_keeps_no_other_from_it() -> None:
    played = _Supervisor({"a": "BROKEN", "b": "EXITED"})
    with pytest.raises(Fault, match="SPAWN_ERROR: a"):
        _module("terrace_supervisor")._run(played, ["a", "b"])
    assert played.calls[-1] == "start b"


@pytest.mark.parametrize(
    ("states", "mode", "would"),
    [
        ({"a": "RUNNING"}, 0o600, False),
        ({"a": "EXITED"}, 0o600, True),
        ({"a": "RUNNING"}, 0o644, True),
        ({}, 0o600, True),
        (None, 0o600, True),
    ],
    ids=["nothing", "stopped", "readable", "unknown to it", "no supervisor"],
)
def test_check_mode_says_whether_there_is_anything_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, states: dict[str, str] | None, mode: int, would: bool
) -> None:
    module, said = _module("terrace_supervisor"), {}
    file = tmp_path / "service.conf"
    file.write_text("programs")
    file.chmod(mode)
    if states is not None:
        monkeypatch.setattr(module, "_supervisor", lambda _socket: _Supervisor(states))
    call = _Call(socket=str(tmp_path / "none.sock"), file=str(file), description="programs", programs=["a"])
    call.check_mode = True
    monkeypatch.setattr(call, "exit_json", lambda **told: (said.update(told), _Call.exit_json(call)))
    monkeypatch.setattr(module, "AnsibleModule", lambda **_: call)
    with pytest.raises(_Ended):
        module.main()
    assert said == {"changed": would}
    assert file.read_text() == "programs"


@pytest.mark.parametrize("possible", [True, False])
def test_packed_modules_are_kept_where_the_python_environment_lets_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, possible: bool
) -> None:
    plugin = _module("kept_modules", LIBRARY.parent / "callback_plugins")
    prefix = tmp_path / "prefix"
    if not possible:
        prefix.write_text("no folder")
    monkeypatch.setattr(plugin.sys, "prefix", str(prefix))
    monkeypatch.setattr(plugin.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(plugin.constants, "DEFAULT_MODULE_PATH", [str(LIBRARY)])
    plugin.CallbackModule()
    link = tmp_path / plugin.ANSIBLES_FOLDER
    assert link.is_symlink() == possible
    if possible:
        assert link.stat().st_mode & 0o777 == 0o700
        assert link.resolve().parent == prefix / "cache"


def test_modules_from_elsewhere_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = _module("kept_modules", LIBRARY.parent / "callback_plugins")
    monkeypatch.setattr(plugin.sys, "prefix", str(tmp_path / "prefix"))
    monkeypatch.setattr(plugin.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(plugin.constants, "DEFAULT_MODULE_PATH", [str(LIBRARY), "/elsewhere"])
    plugin.CallbackModule()
    assert list(tmp_path.iterdir()) == []


def test_a_packed_module_that_a_power_cut_has_broken_goes(tmp_path: Path) -> None:
    plugin = _module("kept_modules", LIBRARY.parent / "callback_plugins")
    for name, content in {"good": pickle.dumps("x"), "empty": b"", "a.lock": b"", "b-part": b""}.items():
        (tmp_path / name).write_bytes(content)
    plugin._remove_broken(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.lock", "b-part", "good"]


def test_ansible_takes_a_module_that_an_earlier_run_packed(tmp_path: Path) -> None:
    """It names the folder as we expect, and reads from it."""
    playbook, temporary = tmp_path / "play.yml", tmp_path / "temporary"
    playbook.write_text("[{hosts: all, gather_facts: false, tasks: [{ansible.builtin.ping: {}}]}]")
    kept = Path(sys.prefix, "cache")

    def packed() -> dict[Path, int]:
        return {file: file.stat().st_mtime_ns for file in kept.glob("*/ansible.modules.ping-*-none")}

    def run() -> None:
        environment = {"ANSIBLE_CONFIG": str(LIBRARY.parent / "ansible.cfg"), "ANSIBLE_LOCAL_TEMP": str(temporary)}
        command = [Path(sys.executable).with_name("ansible-playbook"), playbook, "-i", "here,", "-c", "local"]
        subprocess.run(command, env={**os.environ, **environment}, check=True, capture_output=True, timeout=120)

    for file in packed():
        file.unlink()
    run()
    first = packed()
    assert len(first) == 1
    run()
    assert packed() == first
    assert list(temporary.iterdir()) == []
