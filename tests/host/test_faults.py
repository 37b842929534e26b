"""What happens when processes die, ports are taken, and runs are cut short."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.host.conftest import ENVIRONMENT, PORT_SHIFT, Platform, make_project
from tests.host.machine import folders, listeners, processes, program_pids, supervisor_status, users, wait_for

pytestmark = pytest.mark.drill

FREE_PORT = 45990
STARTED = re.compile(r"start +update +pipelines/airflow-service")


def test_every_program_comes_back_after_a_kill(platform: Platform) -> None:
    before = program_pids(ENVIRONMENT)
    assert len(before) >= 12
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_back() -> bool:
        after = program_pids(ENVIRONMENT)
        running = set(supervisor_status(ENVIRONMENT).values()) == {"RUNNING"}
        return running and after.keys() == before.keys() and all(after[name] != before[name] for name in before)

    wait_for(all_back, 120)
    wait_for(lambda: platform.terrace("status", ENVIRONMENT, check=False).returncode == 0, 120)


@pytest.fixture
def changed(platform: Platform) -> Iterator[Platform]:
    """The platform with a change to the pipelines service that is yet to come; everything is as before afterwards."""
    before = platform.stack_file.read_text(encoding="utf-8")
    platform.edit("pipelines: {flavor: airflow,", "pipelines: {flavor: airflow, keep_runs: 34,")
    yield platform
    platform.stack_file.write_text(before, encoding="utf-8")
    platform.terrace("up", ENVIRONMENT, "--yes")


def test_up_goes_on_after_it_was_killed(changed: Platform) -> None:
    command = [sys.executable, "-m", "terrace", "up", ENVIRONMENT, "--yes", "--project", str(changed.root)]
    with subprocess.Popen(
        command, env=changed.variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if STARTED.search(line.decode()):
                break
        os.killpg(process.pid, signal.SIGKILL)
    result = changed.json("up", ENVIRONMENT, "--yes")
    assert result["summary"].get("update") == 1
    assert set(changed.json("up", ENVIRONMENT, "--yes")["summary"]) == {"same"}
    environment = Path(f"/etc/terrace/{ENVIRONMENT}/airflow/environment.json").read_text(encoding="utf-8")
    assert '"PIPELINES_KEEP_RUNS": "34"' in environment


def test_a_taken_port_is_named_and_up_goes_on_when_it_is_free(changed: Platform) -> None:
    changed.edit(f" port: {15091 + PORT_SHIFT}", f" port: {FREE_PORT}")
    with socket.create_server(("127.0.0.1", FREE_PORT)):
        failed = changed.terrace("up", ENVIRONMENT, "--yes", check=False)
    assert failed.returncode == 1
    assert f"port {FREE_PORT} is already used by" in failed.stderr + failed.stdout
    assert f"(pid {os.getpid()})" in failed.stderr + failed.stdout
    changed.terrace("up", ENVIRONMENT, "--yes")
    assert FREE_PORT in listeners(ENVIRONMENT)


def test_a_wrong_passphrase_is_refused(platform: Platform) -> None:
    refused = platform.terrace("up", ENVIRONMENT, "--yes", check=False, PULUMI_CONFIG_PASSPHRASE="wrong")
    assert refused.returncode in (1, 2)
    assert "passphrase" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_an_entrance_that_cannot_be_is_told_with_the_reason(changed: Platform) -> None:
    changed.edit("gateway: {flavor: nginx,", "gateway: {flavor: nginx, address: 203.0.113.9,")  # not of this machine
    failed = changed.terrace("up", ENVIRONMENT, "--yes", check=False)
    assert failed.returncode == 1
    said = failed.stderr + failed.stdout
    assert "service gateway on this-machine" in said
    assert "bind() to 203.0.113.9" in said


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[Platform]:
    """An environment whose packages can't be had, so that `up` ends half-way."""
    project = make_project(tmp_path, "broken", 2 * PORT_SHIFT)
    text = project.stack_file.read_text(encoding="utf-8")
    name, index = "    name: platform\n", "    network: {package_index: 'http://127.0.0.1:9/simple'}\n"
    assert name in text
    project.stack_file.write_text(text.replace(name, name + index), encoding="utf-8")
    yield project
    project.terrace("destroy", "broken", "--yes", "--delete-data")


def test_destroy_after_a_failed_up_leaves_nothing(broken: Platform) -> None:
    failed = broken.terrace("up", "broken", "--yes", check=False)
    assert failed.returncode == 1
    assert "No matching distribution found for uv" in failed.stderr + failed.stdout
    assert folders("broken")
    broken.terrace("destroy", "broken", "--yes", "--delete-data")
    assert (folders("broken"), users("broken"), processes("broken")) == ([], [], [])
