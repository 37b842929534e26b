"""Two machines, each reached by SSH alone: what is on which, what is between them, and what happens without one."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from terrace import remote, ssh
from terrace.backup import Backups, Request
from terrace.errors import OperationError
from terrace.host_ansible import Task, check
from tests.host.certificates import expire
from tests.host.fleet import (
    ASK_THE_LOG,
    DATA,
    ENVIRONMENT,
    FRONT,
    SHOW_CERTIFICATE,
    Fleet,
    ask_the_log,
    become,
    connect,
    connections,
    knock,
    make_project,
    open_ports,
)
from tests.host.machine import wait_for
from tests.host.machines import Machine, machines

pytestmark = pytest.mark.drill
STRANGER = "games"  # an account that Debian has
RECOVERY_SECONDS = 30 * 60  # docs/hosts.md states it


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A platform on two machines; what it has left on them is looked at when it is destroyed."""
    folder = tmp_path_factory.mktemp("fleet")
    before = set(connections())
    with machines(folder, DATA, FRONT) as made:
        fleet = Fleet(make_project(folder / "project", made, folder / "key"), made[DATA], made[FRONT])
        try:
            fleet.up()
            yield fleet
        finally:
            fleet.project.terrace("destroy", ENVIRONMENT, "--yes", "--delete-data")
        for machine in fleet:
            places = [f"/{place}/terrace/{ENVIRONMENT}" for place in ("etc", "opt", "var/lib", "var/log", "run")]
            assert machine.run("ls", "-d", *places, check=False).stdout == ""
            assert f"terrace-{ENVIRONMENT}-" not in machine.run("cat", "/etc/passwd").stdout
    for left in set(connections()) - before:
        shutil.rmtree(left)


def test_every_service_is_healthy_on_its_host(fleet: Fleet) -> None:
    assert fleet.unhealthy() == set()
    expected = {f"link-{DATA}", f"link-{FRONT}", "postgres", "gateway", "prometheus", "backup", "audit"}
    expected |= {"timer", f"host-backup-{FRONT}"}
    assert set(fleet.status()) >= expected
    folders = {machine.name: machine.run("ls", f"/var/lib/terrace/{ENVIRONMENT}").stdout.split() for machine in fleet}
    assert {"postgres", "backup"} <= set(folders[DATA]) - set(folders[FRONT])
    assert {"gateway", "prometheus", "timer", "host-backup"} <= set(folders[FRONT]) - set(folders[DATA])
    assert not Path("/etc/terrace", ENVIRONMENT).exists(), "nothing is made on the machine that it is driven from"


def test_a_second_run_changes_nothing(fleet: Fleet) -> None:
    assert not re.search("created|updated|replaced|deleted", fleet.up())


def test_monitoring_reaches_the_other_host_and_this_machine_the_gateway(fleet: Fleet) -> None:
    connection = fleet.project.outputs()["connection"]
    client = requests.Session()
    client.trust_env = False
    client.verify = connection["TERRACE_CA_FILE"]
    client.auth = (connection["TERRACE_GATEWAY_USER"], connection["TERRACE_GATEWAY_PASSWORD"])
    url = f"https://{fleet.front.address}:8443/prometheus/api/v1/targets"

    def scraped() -> bool:
        targets = client.get(url).json()["data"]["activeTargets"]
        health = {(target["labels"]["service"], target["health"]) for target in targets}
        return {("postgres", "up"), ("backup", "up"), (f"link-{DATA}", "up"), ("gateway", "up")} <= health

    wait_for(scraped, 60)


def test_between_hosts_only_the_edges_are_open_and_only_to_their_host(fleet: Fleet) -> None:
    """The other host has an edge to each of the data host's ports, and the data host none to the other."""
    assert open_ports(fleet.front) == {22, 8443}
    edges = open_ports(fleet.data) - {22}
    served = {15432, 15433, 15060, 15200, 15201}
    assert served <= edges
    for port in sorted(edges - {18190}):  # there HTTP says it, see below
        assert knock(fleet, fleet.front, port, certificate=False) == "closed", f"{port}, without a certificate"
        assert knock(fleet, fleet.data, port) == "closed", (
            f"{port}, with the certificate of a host that has no such edge"
        )
    assert {port: knock(fleet, fleet.front, port) for port in served} == dict.fromkeys(served, "open")
    assert ask_the_log(fleet, fleet.front, certificate=False) == "400"
    assert ask_the_log(fleet, fleet.data) == "400", "with the certificate of a host that has no such edge"
    assert ask_the_log(fleet, fleet.front) == "200"


# What of the data host the other one reaches, written here by hand: the database, for serving and pipelines; what the
# gateway has a route to, and monitoring scrapes; the audit log; how the link and the machine are.
EDGES = {15000, 15001, 15060, 15200, 15201, 15432, 15433, 18190}
# Who on the front host reaches which of these ports on its own loopback, where the link takes connections.
CALLERS = {
    "prometheus": {15001, 15060, 15200, 15201, 15433, 18190},
    "gateway": {15000, 18190},
    "mlserver": {15000, 15432, 18190},
    "timer": set(),
}


def test_the_firewall_opens_the_edges_and_ssh_alone(fleet: Fleet) -> None:
    of_data, of_front = (sorted(open_ports(machine)) for machine in fleet)
    assert connect(fleet.front, fleet.data.address, of_data) == {22, *EDGES}
    assert connect(fleet.data, fleet.front.address, of_front) == {22, 8443}
    assert connect(None, fleet.data.address, of_data) == {22}, "a stranger on the network"
    assert connect(None, fleet.front.address, of_front) == {22, 8443}


def test_the_firewall_opens_a_link_to_the_services_with_the_edge_alone(fleet: Fleet) -> None:
    ports = sorted(EDGES)
    found = {user: connect(fleet.front, "127.0.0.1", ports, f"terrace-{ENVIRONMENT}-{user}") for user in CALLERS}
    assert found == CALLERS
    assert connect(fleet.front, "127.0.0.1", ports, STRANGER) == set()


def test_an_expired_certificate_between_hosts_is_told_and_renewed_by_up(fleet: Fleet) -> None:
    def shown() -> str:
        """Return the certificate that the other host sees: nobody else gets that far."""
        return fleet.front.run("/usr/bin/python3", "-c", SHOW_CERTIFICATE, fleet.data.address).stdout

    before = shown()
    assert "CERTIFICATE" in before
    about = {"slot": "database", "flavor": "", "name": "", "url": "", "probe_url": "postgresql://127.0.0.1:15432"}
    host = next(host for host in fleet.project.outputs()["hosts"] if host["name"] == FRONT)

    def seen() -> bool:
        """Return whether the database lets accounts log in from the other host's loopback."""
        (found,) = remote.call(host, "terrace.status.probe", ENVIRONMENT, [about])
        return bool(found["healthy"])

    assert seen()
    expire(fleet.data.run, ENVIRONMENT, "link")
    wait_for(lambda: not seen(), 60)
    assert fleet.unhealthy() == {f"link-{DATA}"}
    assert f"expired, and is refused; renew it: terrace up {ENVIRONMENT}" in fleet.status()[f"link-{DATA}"]["detail"]
    assert "updated" in fleet.up()
    wait_for(lambda: shown() not in ("", before), 60)
    assert seen()
    assert fleet.unhealthy() == set()


def test_the_audit_log_knows_who_speaks_on_another_host(fleet: Fleet) -> None:
    event = {"id": "prometheus-1", "at": "2026-03-01T12:00:00Z", "actor": "ann", "action": "change", "outcome": "ok"}
    body = json.dumps({"events": [event]})

    def asked(service: str, method: str, path: str) -> str:
        user = become(f"terrace-{ENVIRONMENT}-{service}")
        return fleet.front.run(*user, "/usr/bin/python3", "-c", ASK_THE_LOG, method, path, body).stdout.strip()

    assert asked("prometheus", "POST", "/events") == "403", "it isn't one of those that tell the log"
    assert (asked("prometheus", "GET", "/records"), asked("gateway", "GET", "/records")) == ("403", "200")
    gateway = f"https://{fleet.front.address}:8443"
    ca_file = fleet.project.outputs()["connection"]["TERRACE_CA_FILE"]
    with requests.Session() as client:
        client.trust_env = False
        assert client.get(f"{gateway}/audit/", auth=("nobody", "x"), verify=ca_file, timeout=30).status_code == 401

    def known() -> set[tuple[str, str, str]]:
        records = fleet.project.json("audit", ENVIRONMENT, "--limit", "5000")
        return {(one["source"], one["action"], one["outcome"]) for one in records}

    wait_for(lambda: {("gateway", "login", "refused"), ("operator", "up", "ok")} <= known(), 60)
    assert fleet.project.json("audit", ENVIRONMENT, "--verify")["problems"] == []


def test_a_host_with_another_key_is_not_trusted(fleet: Fleet) -> None:
    stack_file = fleet.project.stack_file
    right = stack_file.read_text()
    try:
        stack_file.write_text(right.replace(fleet.data.host_key, fleet.front.host_key))
        found = fleet.project.terrace("doctor", ENVIRONMENT, check=False)
    finally:
        stack_file.write_text(right)
    assert found.returncode == 1
    assert f"{DATA} (root@{fleet.data.address}, port 22): the host has another host key" in found.stdout
    host = next(host for host in fleet.project.outputs()["hosts"] if host["name"] == DATA)
    variables = {"terrace_environment": ENVIRONMENT, "host_project": "terrace"}
    task = Task({**host, "host_key": fleet.front.host_key}, ENVIRONMENT, "host", "host", variables, digest="")
    with pytest.raises(OperationError, match="another host key"):  # Ansible has a connection of its own
        check(task)


def test_a_host_is_reached_through_another_whose_key_is_known(fleet: Fleet) -> None:
    data, front = (host for host in fleet.project.outputs()["hosts"])
    bastion = {name: front[name] for name in ("address", "port", "user", "host_key")}
    assert ssh.run({**data, "bastion": bastion}, ["hostname"]).strip() == DATA
    with pytest.raises(OperationError, match="its bastion: the host has another host key"):
        ssh.run({**data, "bastion": {**bastion, "host_key": data["host_key"]}}, ["hostname"])


def test_a_host_that_is_lost_in_the_middle_of_up_is_named_and_the_others_converge(fleet: Fleet) -> None:
    fleet.project.edit("connections: 90", "connections: 91")
    fleet.project.edit("retention_days: 20", "retention_days: 21")
    mark = f"/etc/terrace/{ENVIRONMENT}/manifest.d/service-prometheus.converged"
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            up = pool.submit(fleet.up, check=False)
            wait_for(lambda: fleet.front.run("cat", mark, check=False).stdout == "", 120)  # its role is at work
            fleet.front.unplug()
            unreachable = f"{FRONT} (root@{fleet.front.address}, port 22): the host can't be reached"
            assert unreachable in up.result()
            postgres = fleet.data.run("cat", f"/etc/terrace/{ENVIRONMENT}/postgres/postgresql.conf").stdout
            assert "max_connections = 91" in postgres
            assert unreachable in fleet.up(check=False), "away from the start"
        finally:
            fleet.front.unplug(back=True)
    fleet.up()
    assert "retention.time=21d" in _prometheus(fleet.front)
    assert fleet.unhealthy() == set()


def _prometheus(machine: Machine) -> str:
    return machine.run("cat", f"/etc/terrace/{ENVIRONMENT}/supervisor/conf.d/prometheus.conf").stdout


KEPT = f"/var/lib/terrace/{ENVIRONMENT}/timer/kept"  # on the host without the databases


def _keep(fleet: Fleet, word: str) -> None:
    """Write a word into a database and into a file of a service on the other host, and back both up."""
    fleet.sql(f"SET ROLE mlflow; DROP TABLE IF EXISTS kept; CREATE TABLE kept AS SELECT '{word}' AS word")
    user = become(f"terrace-{ENVIRONMENT}-timer")
    fleet.front.run(*user, "sh", "-c", f"echo {word} > {KEPT}")
    made = fleet.project.json("backup", ENVIRONMENT)["backup"]
    assert (made["host"], [one["host"] for one in made["others"]]) == (DATA, [FRONT])


def _restore(fleet: Fleet, machine: Machine, service: str, host: str | None = None) -> dict[str, Any]:
    """Do as `terrace restore` does, which would then bring up every slot; return what it was to replace."""
    attempts = f"/var/lib/terrace/{ENVIRONMENT}/{service}/attempts.json"
    wait_for(lambda: '"succeeded": 1' in machine.run("cat", attempts, check=False).stdout, 120)  # its own first one
    backups, request = Backups.of(ENVIRONMENT, fleet.project.outputs(), host), Request(place="/mnt/backups")
    plan = backups.plan(request)
    backups.restore(request, plan)
    fleet.up()
    return plan


def test_a_lost_host_with_the_databases_is_back_within_its_recovery_time(fleet: Fleet) -> None:
    _keep(fleet, "before the loss")
    fleet.front.run("rm", KEPT)
    fleet.data.stop()
    lost = time.monotonic()
    assert fleet.unhealthy() == {"postgres", "backup", "audit", f"link-{DATA}"}
    fleet.data.start()
    assert fleet.data.run("ls", f"/etc/terrace/{ENVIRONMENT}", check=False).stdout == "", "a machine without anything"
    fleet.up()
    assert fleet.sql("SELECT to_regclass('kept')") == ""
    assert "mlflow" in _restore(fleet, fleet.data, "backup")["databases"]
    assert fleet.sql("SELECT word FROM kept") == "before the loss"
    assert fleet.front.run("stat", "--format=%U", KEPT).stdout.strip() == f"terrace-{ENVIRONMENT}-timer"
    assert fleet.unhealthy() == set()
    assert time.monotonic() - lost < RECOVERY_SECONDS


def test_a_lost_host_without_databases_is_back_and_the_others_stay(fleet: Fleet) -> None:
    _keep(fleet, "second")
    fleet.sql("UPDATE kept SET word = 'later'")
    fleet.front.stop()
    lost = time.monotonic()
    fleet.front.start()
    fleet.up()
    plan = _restore(fleet, fleet.front, "host-backup", FRONT)
    assert (plan["databases"], plan["others"]) == ([], [])
    assert fleet.front.run("cat", KEPT).stdout == "second\n"
    assert fleet.sql("SELECT word FROM kept") == "later"
    assert fleet.unhealthy() == set()
    assert time.monotonic() - lost < RECOVERY_SECONDS


def test_no_key_and_no_password_stands_in_the_inventory_or_the_outputs(fleet: Fleet) -> None:
    assert "PRIVATE KEY" not in json.dumps(fleet.project.json("output", ENVIRONMENT))
    hosts = fleet.project.outputs()["inventory"]["all"]["hosts"]
    assert set(hosts) == {DATA, FRONT}
    assert [name for variables in hosts.values() for name in variables if "pass" in name] == []
