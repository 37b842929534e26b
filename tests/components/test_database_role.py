"""The role that makes a database, run by Ansible with stand-ins for PostgreSQL's tools: what a failure says."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from terrace import host_ansible
from terrace.errors import OperationError
from terrace.host_ansible import ANSIBLE, Task

PASSWORD = "s3cret-pa55word-of-mlflow"
PLAYBOOK = [
    {
        "name": "One role",
        "hosts": "all",
        "gather_facts": False,
        "tasks": [{"ansible.builtin.include_role": {"name": "postgres_database"}}],
    }
]
NOTE = """#!/usr/bin/python3
from ansible.module_utils.basic import AnsibleModule
AnsibleModule({name: {"type": "raw"} for name in ("environment", "entry", "made", "unmark")}).exit_json(changed=False)
"""
SETPRIV = """#!/bin/sh
while case "$1" in --*) true;; *) false;; esac; do shift; done
exec "$@"
"""
# As psql does, it takes what it is given before it ends: who writes to an ended one is told of that alone.
PSQL = """#!/bin/sh
cat >/dev/null
case "$*" in *{fails}*) cat {said} >&2; exit 2;; esac
"""
NO_SERVER = 'psql: error: connection to server on socket "/run/.s.PGSQL.15432" failed: No such file or directory'


class Role:
    """The role beside programs of the tests' own."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._bin, self._said = root / "bin", root / "said"
        for folder in ("bin", "library", "playbooks"):
            (root / folder).mkdir()
        (root / "playbooks" / "role.yml").write_text(json.dumps(PLAYBOOK))
        (root / "library" / "terrace_note.py").write_text(NOTE)  # what is noted in /etc stays out
        settings = (ANSIBLE / "ansible.cfg").read_text().replace("roles_path = roles", f"roles_path = {ANSIBLE}/roles")
        (root / "ansible.cfg").write_text(settings)
        self._program("setpriv", SETPRIV)
        monkeypatch.setattr(host_ansible, "ANSIBLE", root)
        monkeypatch.setattr(host_ansible, "_require_root", lambda: None)
        monkeypatch.setattr(host_ansible.os, "geteuid", lambda: 0)  # or it would ask sudo
        monkeypatch.setenv("PATH", os.pathsep.join((str(self._bin), os.environ["PATH"])))

    def converge(self, *, fails: str, said: str) -> None:
        """Run it where psql says ``said`` and fails at what has ``fails`` among its arguments."""
        self._said.write_text(said)
        self._program("psql", PSQL.format(fails=fails, said=self._said))
        variables = {
            "terrace_environment": "case",
            "terrace_role": "postgres_database",
            "terrace_instance": "mlflow",
            "database_name": "mlflow",
            "database_owner": "mlflow",
            "database_password": PASSWORD,
            "postgres_port": 15432,
        }
        host = {"name": "data-1", "connection": "local"}
        host_ansible.converge(Task(host, "case", "postgres_database", "mlflow", variables, digest="d"))

    def _program(self, name: str, text: str) -> None:
        (self._bin / name).write_text(text)
        (self._bin / name).chmod(0o755)


@pytest.mark.parametrize(
    ("task", "fails"),
    [("Make the role and the database", "--dbname=postgres"), ("See that the password is the right one", "SELECT")],
)
def test_a_server_that_is_down_is_what_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, fails: str
) -> None:
    with pytest.raises(OperationError) as failed:
        Role(tmp_path, monkeypatch).converge(fails=fails, said=NO_SERVER)
    assert failed.value.where == "postgres_database mlflow on data-1"
    assert failed.value.what == "could not «See that the database is there, with its role and password»"
    assert failed.value.why == f"{task}: {NO_SERVER}"
    assert failed.value.fix


def test_no_password_is_told_along_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OperationError) as failed:
        Role(tmp_path, monkeypatch).converge(fails="--dbname=postgres", said=f"ERROR: near {PASSWORD}")
    assert failed.value.why == "Make the role and the database: ERROR: near [secret]"
