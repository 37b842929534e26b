"""The firewall on the live platform: a matrix of allowed and refused connections, and that it goes without a trace.

It is on for this module alone, since a platform has it only where the spec turns it on.
"""

from __future__ import annotations

import json
import pwd
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.host.conftest import ENVIRONMENT, Platform
from tests.host.machine import CONNECT, users, wait_for

OFF = "    name: platform\n"
STRANGER, FRIEND = "nobody", "games"  # accounts that Debian has
ON = f"{OFF}    hosts: [{{configure: {{firewall: {{allow_users: [{FRIEND}]}}}}}}]\n"
TABLE = f"terrace-{ENVIRONMENT}"


@pytest.fixture(scope="module")
def guarded(platform: Platform) -> Iterator[dict[int, dict[str, Any]]]:
    """The ports that the program guards, with the services that may connect, while the firewall is on."""
    before = platform.stack_file.read_text(encoding="utf-8")
    platform.edit(OFF, ON)
    try:
        platform.terrace("up", ENVIRONMENT, "--yes")
        roles = _plain(platform.outputs()["inventory"]["all"]["hosts"]["host"]["terrace_roles"])
        (role,) = [role for role in roles if role["role"] == "firewall"]
        yield {int(each["port"]): each for each in role["variables"]["firewall_listeners"]}
    finally:
        platform.stack_file.write_text(before, encoding="utf-8")
        platform.terrace("up", ENVIRONMENT, "--yes")
    assert TABLE not in _nft("list", "tables"), "the table stayed"
    assert not Path("/etc/terrace", ENVIRONMENT, "firewall").exists()
    port = _port(platform, "database")
    assert _connect(STRANGER, [port]) == {port: True}, "somebody is still refused"


def _plain(value: Any) -> Any:
    """Return a value of the inventory without the marks that keep Ansible from templating it."""
    if isinstance(value, dict):
        return value["__ansible_unsafe"] if "__ansible_unsafe" in value else {k: _plain(v) for k, v in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _port(platform: Platform, slot: str) -> int:
    return next(int(s["probe_port"]) for s in platform.outputs()["services"] if s["slot"] == slot)


def _nft(*arguments: str) -> str:
    return subprocess.run(["/usr/sbin/nft", *arguments], capture_output=True, text=True, check=True).stdout


def _connect(user: str, ports: list[int], address: str = "127.0.0.1") -> dict[int, bool]:
    """Return which ports let a process of ``user`` connect."""
    uid = str(pwd.getpwnam(user).pw_uid)
    command = ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "/usr/bin/python3", "-c", CONNECT, address]
    done = subprocess.run([*command, *map(str, ports)], capture_output=True, text=True, check=True, cwd="/")
    return {int(port): found for port, found in json.loads(done.stdout).items()}


def test_a_matrix_of_connections_has_only_the_edges_of_the_graph(guarded: dict[int, dict[str, Any]]) -> None:
    services = [name.removeprefix(f"terrace-{ENVIRONMENT}-") for name in users(ENVIRONMENT)]
    assert len(services) >= 10
    assert len(guarded) >= 20
    expected = {(service, port): service in each["callers"] for port, each in guarded.items() for service in services}
    found = {
        (service, port): accepted
        for service in services
        for port, accepted in _connect(f"terrace-{ENVIRONMENT}-{service}", list(guarded)).items()
    }
    wrong = {key: found[key] for key in expected if found[key] != expected[key]}
    assert wrong == {}
    assert set(expected.values()) == {True, False}


# What the platform's parts are to reach, written here by hand: a graph with too many edges would agree with itself.
REACH = {
    "database": {"postgres", "mlflow", "feast", "airflow", "mlserver", "evidently", "portal"},
    "tracking": {"mlflow", "gateway", "mlserver", "evidently", "portal"},
    "serving": {"mlserver", "gateway", "portal"},
    "feature_store": {"feast", "gateway", "portal"},
    "pipelines": {"airflow", "gateway", "prometheus", "portal"},
    "monitoring": {"prometheus", "gateway", "portal"},
    "drift": {"evidently", "gateway", "prometheus", "portal"},
    "backup": {"backup", "prometheus", "portal"},
    "portal": {"portal", "gateway", "prometheus"},
    "audit": {"audit", "gateway", "mlflow", "mlserver", "prometheus", "portal"},
    "workbench": {"workbench", "gateway", "prometheus", "portal"},
}


@pytest.mark.parametrize("slot", REACH)
def test_a_slots_service_is_reached_by_these_alone(
    platform: Platform, guarded: dict[int, dict[str, Any]], slot: str
) -> None:
    port = _port(platform, slot)
    known = {name.removeprefix(f"terrace-{ENVIRONMENT}-") for name in users(ENVIRONMENT)}
    assert known >= set().union(*REACH.values())
    found = {name for name in known if _connect(f"terrace-{ENVIRONMENT}-{name}", [port])[port]}
    assert found == REACH[slot]


def test_a_stranger_reaches_the_entrance_alone(guarded: dict[int, dict[str, Any]], outputs: dict[str, Any]) -> None:
    entrance = int(outputs["connection"]["TERRACE_GATEWAY_URL"].rpartition(":")[2])
    found = _connect(STRANGER, [entrance, *guarded])
    assert [port for port, accepted in found.items() if accepted] == [entrance]


def test_an_account_that_the_spec_allows_reaches_every_service(guarded: dict[int, dict[str, Any]]) -> None:
    assert set(_connect(FRIEND, list(guarded)).values()) == {True}


def test_another_address_of_the_machine_is_no_way_around(guarded: dict[int, dict[str, Any]]) -> None:
    """127.0.0.2 and an address of a network card are loopback too, and a port on all addresses is guarded there."""
    port = next(iter(guarded))
    with socket.create_server(("127.0.0.2", port)):
        assert _connect(STRANGER, [port], "127.0.0.2") == {port: False}


def test_every_service_works_behind_it(
    platform: Platform, guarded: dict[int, dict[str, Any]], gateway: requests.Session, outputs: dict[str, Any]
) -> None:
    status = platform.json("status", ENVIRONMENT)
    assert [service for service in status["services"] if not service["healthy"]] == []
    url = outputs["connection"]["PROMETHEUS_URL"] + "api/v1/targets?state=active"

    def all_up() -> bool:
        targets = gateway.get(url, timeout=30).json()["data"]["activeTargets"]
        return len(targets) >= 13 and all(target["health"] == "up" for target in targets)

    wait_for(all_up, 120)
    for path in ("/mlflow/health", "/feast/health", "/serving/v2/health/live", "/pipelines/health"):
        assert gateway.get(outputs["connection"]["TERRACE_GATEWAY_URL"] + path, timeout=30).ok, path


def test_a_new_connection_of_each_kind_is_along_an_edge(guarded: dict[int, dict[str, Any]]) -> None:
    """No connection that is open now is one that the firewall would refuse, as one of before it would be."""
    names = {pwd.getpwnam(name).pw_uid: name.removeprefix(f"terrace-{ENVIRONMENT}-") for name in users(ENVIRONMENT)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    used = {(names[int(row[7])], int(row[2][-4:], 16)) for row in rows if row[3] == "01" and int(row[7]) in names}
    used = {(service, port) for service, port in used if port in guarded}
    assert len(used) >= 2, "there is no connection to look at"
    assert {(service, port) for service, port in used if service not in guarded[port]["callers"]} == set()


def test_it_is_its_own_table_and_found_again_when_somebody_changed_it(
    platform: Platform, guarded: dict[int, dict[str, Any]]
) -> None:
    others = {line for line in _nft("list", "tables").splitlines() if TABLE not in line}
    wanted = _nft("--stateless", "list", "table", "inet", TABLE)
    _nft("flush", "chain", "inet", TABLE, "guarded")
    role = ("--target", "**HostRole::firewall")
    platform.terrace("refresh", ENVIRONMENT, *role)
    assert _nft("--stateless", "list", "table", "inet", TABLE) != wanted, "a refresh looks and changes nothing"
    plan = platform.json("preview", ENVIRONMENT)
    assert [step["urn"].rsplit("::", 1)[1] for step in plan["steps"] if step["op"] != "same"] == ["firewall"]
    platform.terrace("up", ENVIRONMENT, "--yes", *role)
    assert _nft("--stateless", "list", "table", "inet", TABLE) == wanted
    assert {line for line in _nft("list", "tables").splitlines() if TABLE not in line} == others


def test_up_with_it_is_idempotent(platform: Platform, guarded: dict[int, dict[str, Any]]) -> None:
    assert set(platform.json("up", ENVIRONMENT, "--yes")["summary"]) == {"same"}
