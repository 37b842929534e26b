"""The program that makes and starts the PostgreSQL cluster, with stand-ins for PostgreSQL's own programs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from components.database.programs import cluster

INITDB = """#!/bin/sh
echo "$@" >> {log}
[ -e {fails} ] && exit 1
new="${{1#--pgdata=}}"
mkdir "$new" && echo {version} > "$new/PG_VERSION"
"""
POSTGRES = """#!/bin/sh
echo "postgres $@" >> {log}
cat >> {log}
[ ! -e {fails}.single ]
"""


class Machine:
    """A machine with PostgreSQL in some versions."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self.root = root
        self.installed = root / "installed"
        self.installed.mkdir()
        self.data = root / "data"
        self.data.mkdir()
        self.cluster = self.data / "cluster"
        self.fails = root / "fails"
        self.executed: list[tuple[str, list[str]]] = []
        monkeypatch.setattr(cluster, "INSTALLED", self.installed)
        monkeypatch.setattr(cluster.os, "execv", lambda program, command: self.executed.append((program, command)))
        monkeypatch.setenv("CLUSTER_DATA", str(self.data))
        monkeypatch.setenv("CLUSTER_CONFIG", "/config")

    def install(self, version: str) -> Path:
        folder = self.installed / version / "bin"
        folder.mkdir(parents=True)
        values = {"log": self.root / "log", "fails": self.fails, "version": version}
        for name, text in (("initdb", INITDB), ("postgres", POSTGRES)):
            (folder / name).write_text(text.format(**values))
            (folder / name).chmod(0o755)
        return folder

    def run(self, argument: str) -> None:
        self._patch.setattr(sys, "argv", ["cluster.py", argument])
        cluster.main()

    def log(self) -> str:
        log = self.root / "log"
        return log.read_text() if log.exists() else ""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_a_cluster_is_made_by_the_newest_version(machine: Machine) -> None:
    for version in ("9", "17", "16"):
        machine.install(version)
    (machine.installed / "common").mkdir()
    machine.run("make")
    assert (machine.cluster / "PG_VERSION").read_text() == "17\n"
    initdb, single, *roles = machine.log().splitlines()
    assert "--auth=reject" in initdb
    assert "--data-checksums" in initdb
    assert single == f"postgres --single -j -D {machine.data}/cluster.new postgres"
    assert "\n".join(roles).strip() == "CREATE ROLE exporter LOGIN;\n\nGRANT pg_monitor TO exporter;"
    assert (machine.data / "socket").stat().st_mode & 0o777 == 0o700


def test_a_cluster_is_made_once(machine: Machine) -> None:
    machine.install("17")
    machine.run("make")
    log = machine.log()
    machine.run("make")
    assert machine.log() == log


@pytest.mark.parametrize("step", ["fails", "fails.single"])
def test_a_cluster_half_made_is_not_used_and_made_anew(machine: Machine, step: str) -> None:
    machine.install("17")
    (machine.root / step).touch()
    with pytest.raises(cluster.subprocess.CalledProcessError):
        machine.run("make")
    assert not machine.cluster.exists()
    (machine.root / step).unlink()
    machine.run("make")
    assert sorted(each.name for each in machine.data.iterdir()) == ["cluster", "socket"]


def test_the_server_takes_the_programs_place(machine: Machine) -> None:
    folder = machine.install("17")
    machine.run("make")
    machine.run("run")
    program = str(folder / "postgres")
    command = [program, "-D", str(machine.cluster), "-c", "config_file=/config/postgresql.conf"]
    assert machine.executed == [(program, command)]


def test_a_cluster_stays_with_the_version_that_made_it(machine: Machine) -> None:
    old = machine.install("16")
    machine.run("make")
    machine.install("17")
    machine.run("run")
    assert machine.executed[0][0] == str(old / "postgres")


def test_a_cluster_without_its_version_is_not_started(machine: Machine) -> None:
    machine.cluster.mkdir()
    (machine.cluster / "PG_VERSION").write_text("15\n")
    machine.install("17")
    with pytest.raises(SystemExit, match="PostgreSQL 15 is not installed in"):
        machine.run("run")
    assert machine.executed == []


@pytest.mark.parametrize("folder", [None, "common", "17"])
def test_no_installed_version_is_said(machine: Machine, folder: str | None) -> None:
    if folder:
        (machine.installed / folder).mkdir()
    with pytest.raises(SystemExit, match="is not installed in"):
        machine.run("make")
    assert not machine.cluster.exists()
