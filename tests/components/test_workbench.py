"""Workbenches: what is planned for each person, the door that wakes a server, and what is told of them."""

from __future__ import annotations

import json
import os
import pwd
import socket
import stat
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from components.workbench.jupyterlab import LONGEST_USER, service_name
from components.workbench.programs import workbench_door, workbench_watch
from terrace.resolve import Blueprint
from terrace.spec import Person, Team
from tests.components.recording import Recorded, blueprint, plan
from tests.components.timer_server import free_port
from tests.host.machine import wait_for

PEOPLE = {"ann": Person(roles=("data_scientist",)), "bob": Person(roles=("labelling_expert",))}
UNIX_SOCKETS = """\
Num       RefCount Protocol Flags    Type St Inode Path
ffff8f0a: 00000002 00000000 00010000 0001 01 31337 /opt/terrace/local/wb-ann/socket/http
ffff8f0b: 00000003 00000000 00000000 0001 03 31338 /opt/terrace/local/wb-eve/socket/http
ffff8f0c: 00000003 00000000 00000000 0001 03 31339
"""
# Stands for the server: answers the first request on the socket that it is given.
ANSWERS = """#!/usr/bin/python3
import socket, sys
guest = socket.socket(fileno=int(sys.argv[-1])).accept()[0]
guest.sendall(b"hello " + guest.recv(100))
"""


def _with(wanted: Blueprint, people: dict[str, Person]) -> Blueprint:
    team = Team(people=people, groups=wanted.spec.team.groups)
    object.__setattr__(wanted, "spec", wanted.spec.model_copy(update={"team": team}))
    return wanted


def _planned(folder: Path, people: dict[str, Person]) -> dict[str, dict[str, Any]]:
    """Return the variables of each service."""
    found: list[Recorded] = plan(_with(blueprint(3, folder), people))
    roles = [r.inputs for r in found if r.inputs.get("role") == "service"]
    return {inputs["instance"]: json.loads(inputs["variables"]) for inputs in roles}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return _planned(tmp_path_factory.mktemp("stack"), PEOPLE)


def test_who_has_the_right_has_a_server_for_the_gateway_alone(planned: dict[str, dict[str, Any]]) -> None:
    assert {name for name in planned if name.startswith("wb-")} == {"wb-ann"}
    assert planned["wb-ann"]["service_socket_for"] == "gateway"
    (route,) = planned["workbench"]["service_routes"]
    assert route["servers"] == {"ann": "unix:/opt/terrace/local/wb-ann/socket/http"}
    assert planned["wb-ann"]["service_environment"]["WORKBENCH_DOOR"] == route["servers"]["ann"]
    (watched,) = json.loads(planned["workbench"]["service_live_files"][0]["content"])
    assert watched == {
        "person": "ann",
        "user": "terrace-local-wb-ann",
        "socket": "/opt/terrace/local/wb-ann/socket/http",
    }


def test_a_server_is_given_addresses_and_its_persons_name_but_no_secret(planned: dict[str, dict[str, Any]]) -> None:
    variables = planned["wb-ann"]
    given = variables["service_environment"]
    assert given["MLFLOW_TRACKING_USERNAME"] == given["TERRACE_GATEWAY_USER"] == given["PIPELINES_USER"] == "ann"
    assert given["FEATURE_STORE_URL"].endswith("/feast/")
    assert not any("DATABASE" in name or name.endswith("_PASSWORD") for name in given)
    assert set(variables["service_secrets"]) == {"UV_SYSTEM_CERTS"}
    text = json.dumps(variables)
    assert not any(f"[{name}]" in text for name in ("person-ann", "mlflow-projects", "gateway-account", "feast"))


def test_without_people_nothing_is_installed(planned: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    assert _planned(tmp_path, {})["workbench"]["service_python_lock"] == ""
    assert "jupyterlab==" in planned["workbench"]["service_python_lock"]


def test_who_joins_restarts_nobody(planned: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    more = _planned(tmp_path, {**PEOPLE, "carl": Person(roles=("ml_engineer",))})
    assert more["wb-ann"] == planned["wb-ann"]
    before, after = planned["workbench"], more["workbench"]
    assert {key for key in before if before[key] != after[key]} == {"service_live_files", "service_routes"}


@pytest.mark.parametrize("prefix", ["terrace-x-", "terrace-production-", "terrace-eleven-long-"])
def test_every_name_of_a_person_becomes_one_of_a_user(prefix: str) -> None:
    long = ["a" * 31, "a" * 30 + "b", "computational-scientist", "computational-statistician", "ann"]
    names = [service_name(person, prefix) for person in long]
    assert len(set(names)) == len(long)
    assert all(len(prefix + name) <= LONGEST_USER for name in names)
    assert names[-1] == "wb-ann"


def test_the_door_wakes_a_server_and_who_knocked_is_answered(tmp_path: Path) -> None:
    server, door = tmp_path / "answers", tmp_path / "http"
    server.write_text(ANSWERS, encoding="utf-8")
    server.chmod(0o755)
    door.symlink_to(tmp_path / "elsewhere")  # what was there is no way to anybody else
    variables = {**os.environ, "WORKBENCH_DOOR": f"unix:{door}", "WORKBENCH_PYTHON": str(server)}
    with subprocess.Popen(["/usr/bin/python3", "-I", workbench_door.__file__], env=variables) as asleep:
        wait_for(door.is_socket, 20)
        wait_for(lambda: stat.S_IMODE(door.lstat().st_mode) == 0o660, 20)
        with socket.socket(socket.AF_UNIX) as guest:
            guest.settimeout(20)
            wait_for(lambda: guest.connect_ex(str(door)) == 0, 20)
            guest.sendall(b"ann")
            assert guest.recv(100) == b"hello ann"
        assert asleep.wait(20) == 0


def test_a_pods_door_is_a_port(tmp_path: Path) -> None:
    server, address = tmp_path / "answers", ("127.0.0.1", free_port())
    server.write_text(ANSWERS, encoding="utf-8")
    server.chmod(0o755)
    variables = {**os.environ, "WORKBENCH_DOOR": f"{address[0]}:{address[1]}", "WORKBENCH_PYTHON": str(server)}
    with subprocess.Popen(["/usr/bin/python3", "-I", workbench_door.__file__], env=variables) as asleep:
        with socket.socket() as guest:
            guest.settimeout(20)
            wait_for(lambda: guest.connect_ex(address) == 0, 20)
            guest.sendall(b"ann")
            assert guest.recv(100) == b"hello ann"
        assert asleep.wait(20) == 0


def test_the_server_is_given_the_open_socket(tmp_path: Path) -> None:
    with workbench_door.open_door(f"unix:{tmp_path}/http") as door:
        python, _, program, number = workbench_door.command("/venv/bin/python", door)
        assert (python, Path(program).name, int(number)) == ("/venv/bin/python", "workbench_server.py", door.fileno())
        assert door.get_inheritable()


def test_sockets_that_are_listened_on_are_told_from_connections() -> None:
    assert workbench_watch.listening(UNIX_SOCKETS) == {"/opt/terrace/local/wb-ann/socket/http"}


def test_metrics_say_who_is_open_and_what_they_use(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "unix").write_text(UNIX_SOCKETS)
    for number, pages in ((7, 2), (8, 3)):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "statm").write_text(f"900 {pages} 1 1 0 1 0")
    (tmp_path / "9").mkdir()  # it ended meanwhile
    here = pwd.getpwuid(os.getuid()).pw_name
    people = [
        {"person": "ann", "user": here, "socket": "/opt/terrace/local/wb-ann/socket/http"},
        {"person": "eve", "user": "terrace-nowhere-eve", "socket": "/opt/terrace/local/wb-eve/socket/http"},
    ]
    shown = {
        line.split()[0]: float(line.split()[1])
        for line in workbench_watch.page(people, tmp_path).splitlines()
        if not line.startswith("#")
    }
    assert shown == {
        'terrace_workbench_open{person="ann"}': 1,
        'terrace_workbench_open{person="eve"}': 0,
        'terrace_workbench_processes{person="ann"}': 2,
        'terrace_workbench_processes{person="eve"}': 0,
        'terrace_workbench_memory_bytes{person="ann"}': 5 * os.sysconf("SC_PAGE_SIZE"),
        'terrace_workbench_memory_bytes{person="eve"}': 0,
    }


@pytest.fixture
def watch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running watch over nobody."""
    (tmp_path / "people.json").write_text("[]")
    monkeypatch.setenv("WORKBENCH_PEOPLE", str(tmp_path / "people.json"))
    with ThreadingHTTPServer(("127.0.0.1", 0), workbench_watch.Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_the_watch_answers_prometheus_and_tells_others_that_they_have_none(watch: str) -> None:
    assert urllib.request.urlopen(f"{watch}/health", timeout=20).read() == b"ok\n"
    assert b"# TYPE terrace_workbench_open gauge" in urllib.request.urlopen(f"{watch}/metrics", timeout=20).read()
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(f"{watch}/workbench/lab", timeout=20)
    assert b"This account has no workbench" in refused.value.read()
    refused.value.close()
