"""SSH to a host: what ssh is told, and what is made of what it says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from terrace import remote, remote_facts, ssh
from terrace.errors import OperationError

HOST: dict[str, Any] = {
    "name": "far",
    "address": "10.1.0.2",
    "connection": "ssh",
    "port": 2222,
    "user": "deploy",
    "host_key": "ssh-ed25519 AAAA",
    "bastion": {"address": "bastion.example.org", "port": 22, "user": "jump", "host_key": "ssh-ed25519 BBBB"},
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, and a program `ssh` that notes how it was called."""
    monkeypatch.setattr(ssh.tempfile, "tempdir", str(tmp_path))
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {tmp_path}/called\n"
        f"for last; do :; done\n[ -e {tmp_path}/says ] && {{ cat {tmp_path}/says >&2; exit 255; }}\n"
        'exec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    remote_facts.forget()
    return tmp_path


def _effective(alias: str, file: Path) -> dict[str, str]:
    """Return what OpenSSH itself makes of the configuration."""
    shown = subprocess.run(["/usr/bin/ssh", "-G", "-F", str(file), alias], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in shown.stdout.splitlines() if " " in line)


@pytest.mark.usefixtures("folder")
def test_ssh_takes_a_key_and_no_other_host_than_the_known_one(tmp_path: Path) -> None:
    key = tmp_path / "my key"
    key.touch()
    file = ssh.configuration({**HOST, "key_file": str(key)})
    found = _effective("far", file)
    assert (found["hostname"], found["port"], found["user"]) == ("10.1.0.2", "2222", "deploy")
    assert found["proxyjump"] == "far.bastion"
    for alias in ("far", "far.bastion"):
        found = _effective(alias, file)
        assert found["stricthostkeychecking"] in ("true", "yes")
        assert found["globalknownhostsfile"] == "/dev/null"
        assert found["userknownhostsfile"] == str(file.with_name("known_hosts"))
        assert (found["batchmode"], found["passwordauthentication"]) == ("yes", "no")
        assert found["identityfile"] == str(key), "the bastion's is the host's unless it has one"
        assert found["forwardagent"] == "no"
    known = file.with_name("known_hosts").read_text()
    assert known == "far ssh-ed25519 AAAA\nfar.bastion ssh-ed25519 BBBB\n"
    assert file.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.usefixtures("folder")
def test_a_missing_key_is_named() -> None:
    with pytest.raises(OperationError, match="the SSH key's file /nowhere/key is missing"):
        ssh.configuration({**HOST, "key_file": "/nowhere/key"})


def test_a_folder_that_others_could_write_to_is_refused(folder: Path) -> None:
    ssh.configuration(HOST)
    shared = next(folder.glob("terrace-ssh-*"))
    shared.chmod(0o777)
    with pytest.raises(OperationError, match="somebody else"):
        ssh.configuration(HOST)


def test_a_command_becomes_root_where_the_account_is_not(folder: Path) -> None:
    assert ssh.command({**HOST, "user": "root"}, ["id", "-u"])[-1] == "id -u"
    assert ssh.command(HOST, ["echo", "a b"])[-1] == "sudo -n echo 'a b'"
    assert ssh.command(HOST, ["id"], as_root=False)[-1] == "id"
    assert ssh.run({**HOST, "user": "root"}, ["cat"], "text") == "text"
    assert (folder / "called").read_text().splitlines()[3] == "far"


@pytest.mark.parametrize(
    ("said", "what", "fix"),
    [
        ("Host key for far has changed\nHost key verification failed.", "another host key", "host_key"),
        ("deploy@10.1.0.2: Permission denied (publickey).", "refuses the key", "authorized_keys"),
        ("sudo: a password is required", "may not become root", "NOPASSWD"),
        ("ssh: connect to host 10.1.0.2 port 2222: No route to host", "can't be reached", "whether it runs"),
    ],
)
def test_what_went_wrong_is_told(folder: Path, said: str, what: str, fix: str) -> None:
    (folder / "says").write_text(said)
    with pytest.raises(OperationError, match=what) as failed:
        ssh.run({**HOST, "bastion": None}, ["id"])
    assert failed.value.where == "far (deploy@10.1.0.2, port 2222)"
    assert fix in (failed.value.fix or "")
    assert said.splitlines()[-1] in (failed.value.why or "")


def test_it_is_told_whether_the_bastion_is_at_fault(folder: Path) -> None:
    (folder / "says").write_text("jump@bastion.example.org: Permission denied (publickey).")
    with pytest.raises(OperationError, match="its bastion: the host refuses the key") as failed:
        ssh.run(HOST, ["id"])
    assert failed.value.where == "far (deploy@10.1.0.2, port 2222, through jump@bastion.example.org)"
    (folder / "says").unlink()
    said = ssh.failure(HOST, "kex_exchange_identification: Connection closed by remote host")
    assert said.what == "the host can't be reached", "behind a bastion that answers"


@pytest.mark.usefixtures("folder")
def test_a_command_that_fails_there_is_not_the_connections_fault() -> None:
    with pytest.raises(OperationError, match="a command failed on the host") as failed:
        ssh.run({**HOST, "user": "root"}, ["sh", "-c", "echo no >&2; exit 3"])
    assert failed.value.why == "no"


@pytest.mark.usefixtures("folder")
def test_a_function_is_called_on_the_host() -> None:
    host = {**HOST, "user": "root"}
    facts = remote.call(host, "terrace.host_facts.look", "an-environment-that-is-nowhere")
    assert set(facts) == {"marks", "ports", "supervised", "versions", "expired"}
    needs = {"env": "nowhere", "disk_gb": 0.0, "memory_gb": 0.0, "ports": {}, "package_index": "none", "folders": []}
    checks = remote.call(host, "terrace.doctor.examine_host", needs, "", needs=("terrace.at_rest", "terrace.ports"))
    assert {"name": "ports", "ok": True, "found": "0 ports are free or ours", "fix": "", "necessary": True} in checks


@pytest.mark.usefixtures("folder")
def test_an_answer_that_is_none_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "run", lambda *_: "welcome!\n")
    with pytest.raises(OperationError, match="something else") as failed:
        remote.call(HOST, "terrace.host_facts.look", "case")
    assert failed.value.why == "welcome!\n"


def test_facts_are_asked_once_and_so_is_a_host_that_is_away(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(remote, "call", lambda _host, _function, environment: asked.append(environment) or {})
    assert remote_facts.of(HOST, "one") == remote_facts.of(HOST, "one") == {}
    assert asked == ["one"]
    remote_facts.forget()
    monkeypatch.undo()
    monkeypatch.setattr(ssh.tempfile, "tempdir", str(folder))
    monkeypatch.setenv("PATH", f"{folder}/bin:/usr/bin:/bin")
    (folder / "says").write_text("ssh: No route to host")
    for _ in range(2):
        with pytest.raises(OperationError, match="can't be reached"):
            remote_facts.of(HOST, "one")
        (folder / "says").unlink(missing_ok=True)
    remote_facts.forget()
    assert "marks" in remote_facts.of({**HOST, "user": "root"}, "one")


@pytest.mark.usefixtures("folder")
def test_without_a_bastion_there_is_no_jump() -> None:
    assert "ProxyJump" not in ssh.configuration({**HOST, "bastion": None}).read_text()
