"""Status and checks of hosts that are elsewhere, with SSH out of the way."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from terrace import doctor, fleet, remote, status
from terrace.backup import Agent, Backups
from terrace.errors import InputError, OperationError
from terrace.trust import with_own_certificate

AWAY = {"name": "away", "connection": "ssh", "address": "10.1.0.2", "port": 22, "user": "root"}
HERE = {"name": "here", "connection": "local", "address": "10.1.0.1"}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFYQ"


def service(name: str, host: str) -> dict[str, Any]:
    about = {"slot": "backup", "flavor": "restic", "name": name, "url": "", "probe_url": "", "probe_port": 1}
    return {**about, "host": host}


OUTPUTS = {
    "tier": 2.0,
    "target": "host",
    "hosts": [HERE, AWAY],
    "services": [service("x", "away"), service("y", "here")],
}


def test_each_host_is_asked_of_its_own_services(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(_env: str, services: list[dict[str, Any]]) -> list[dict[str, Any]]:
        keys = ("slot", "flavor", "name", "url")
        return [{**{key: each[key] for key in keys}, "healthy": True, "detail": each["host"]} for each in services]

    monkeypatch.setattr(status, "probe", probe)
    monkeypatch.setattr(remote, "call", lambda host, _function, env, services: probe(env, services))
    found = fleet.examine("case", OUTPUTS)
    assert [(health.name, health.detail) for health in found.services] == [("x", "away"), ("y", "here")]
    assert found.healthy
    assert found.tier == 2


def test_services_of_a_host_that_is_away_are_down_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise OperationError("the host can't be reached", where="away", why="a\nNo route to host")

    monkeypatch.setattr(remote, "call", fail)
    found = {health.name: health for health in fleet.examine("case", OUTPUTS).services}
    assert not found["x"].healthy
    assert found["x"].detail == "away: the host can't be reached (No route to host)"
    assert found["y"].detail == "nothing listens there"


def test_a_cluster_that_cannot_be_reached_is_all_that_is_said(tmp_path: Path) -> None:
    file = tmp_path / "stacks" / "Pulumi.case.yaml"
    file.parent.mkdir()
    nowhere = f"    kubernetes: {{kubeconfig: {tmp_path}/none}}\n"
    file.write_text(f"config:\n  terrace:tier: 1\n  terrace:target: kubernetes\n  terrace:platform:\n{nowhere}")
    (check,) = fleet.checks(tmp_path, "case")
    assert (check.name, check.ok, check.necessary) == ("cluster", False, True)
    assert f"{tmp_path}/none' is neither a file nor a kubeconfig" in check.found
    assert check.fix


def test_this_machine_alone_is_asked_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "examine", lambda env, _outputs: f"status of {env}")
    assert fleet.examine("case", {}) == "status of case"


def _project(folder: Path, hosts: str) -> Path:
    (folder / "stacks").mkdir()
    text = f"config:\n  terrace:tier: 1\n  terrace:target: host\n  terrace:platform:\n    hosts:\n{hosts}"
    (folder / "stacks" / "Pulumi.case.yaml").write_text(text)
    (folder / "Pulumi.yaml").write_text("name: terrace\nruntime: python\nmain: stacks\nstackConfigDir: stacks\n")
    return folder


def test_every_host_is_checked_for_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = f"connection: ssh, host_key: {KEY}"
    root = _project(
        tmp_path,
        "      - {name: here, address: 10.1.0.1, groups: [data, tracking]}\n"
        f"      - {{name: away, address: 10.1.0.2, {ssh}, groups: [serving, training, monitoring]}}\n"
        f"      - {{name: lost, address: 10.1.0.3, {ssh}}}\n",
    )
    monkeypatch.setattr(doctor, "examine", lambda needs: (doctor.Check("here", True, ",".join(sorted(needs.ports))),))

    def call(host: dict[str, Any], _function: str, wanted: dict[str, Any], *_: Any, **__: Any) -> Any:
        if host["name"] == "lost":
            raise OperationError("the host can't be reached", where="lost", why="No route", fix="Look.")
        assert wanted["disk_gb"] == doctor.DISK_GB / 3
        assert "gateway.port" in wanted["ports"]
        assert "database.port" not in wanted["ports"]
        return [{"name": "disk", "ok": True, "found": "big", "fix": "", "necessary": True}]

    monkeypatch.setattr(remote, "call", call)
    found = {check.name: check for check in fleet.checks(root, "case")}
    assert found["here"].found.startswith("database.exporter_port,database.port")
    assert found["away"].ok
    assert found["away: disk"].found == "big"
    assert (found["lost"].ok, found["lost"].fix) == (False, "Look.")
    assert found["lost"].found == "lost: the host can't be reached (No route)"


def test_this_machine_alone_is_checked_as_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda needs: (needs.env,))
    assert fleet.checks(_project(tmp_path, "      - {name: this}\n"), "case") == ("case",)


def test_a_machine_beyond_the_platform_is_tried_from_each_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _needs: ())
    monkeypatch.setattr(remote, "call", lambda _, name, *__, **___: [] if "doctor" in name else "No route to host")
    ssh = f"connection: ssh, host_key: {KEY}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        place = f"{{address: localhost, port: {port}, user: keeper, host_key: {KEY}, path: /backups}}"
        hosts = f"      - {{name: here, address: 10.1.0.1}}\n      - {{name: away, address: 10.1.0.2, {ssh}}}\n"
        root = _project(tmp_path, f"{hosts}    backup: {{place: {place}}}\n")
        found = {check.name: check for check in fleet.checks(root, "case")}
        assert (found["backup.place"].ok, found["backup.place"].found) == (True, f"localhost, port {port}, answers")
        assert not found["away: backup.place"].ok
        assert found["away: backup.place"].found.endswith("can't be reached: No route to host")
    (root / "stacks" / "Pulumi.case.yaml").write_text(
        (root / "stacks" / "Pulumi.case.yaml").read_text().replace(hosts, "      - {name: this}\n")
    )
    (told,) = fleet.checks(root, "case")
    assert told.found.endswith("Connection refused")
    assert told.fix


def test_ports_that_another_environment_here_has_too_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _needs: ())
    root = _project(tmp_path, "      - {name: this}\n")
    other = (root / "stacks" / "Pulumi.case.yaml").read_text()
    assert fleet.checks(root, "case") == ()
    (root / "stacks" / "Pulumi.other.yaml").write_text(f"{other}    tracking: {{port: 25000}}\n")
    (root / "stacks" / "Pulumi.wrong.yaml").write_text("config: 5\n")
    (told,) = fleet.checks(root, "case")
    assert (told.ok, told.necessary) == (False, False)
    assert "are also those of other" in told.found
    assert "gateway.port" in told.fix
    assert "tracking.port" not in told.fix


def test_a_backup_is_asked_of_its_host() -> None:
    assert Backups.of("case", {**OUTPUTS, "services": [service("x", "away")]}).agents == (Agent("case", "x", AWAY),)
    elsewhere = {**OUTPUTS, "services": [service("y", "here"), service("host-backup-away", "away")]}
    here, away = Backups.of("case", elsewhere).agents
    assert (here.service, here.where, away) == ("y", "here", Agent("case", "host-backup", AWAY))
    assert Backups.of("case", elsewhere, "away").agents == (away,)
    with pytest.raises(InputError, match="case has no host 'gone'"):
        Backups.of("case", elsewhere, "gone")


def test_clients_here_trust_a_file_that_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    connection = {"TERRACE_CA_FILE": "/etc/terrace/case/ca.crt", "TERRACE_GATEWAY_URL": "https://10.1.0.2"}
    outputs = {"certificate": "PEM", "connection": connection}
    for _ in range(2):
        own = with_own_certificate("terrace", "case", outputs)["connection"]
        assert Path(own["TERRACE_CA_FILE"]).read_text() == "PEM"
        assert own["TERRACE_GATEWAY_URL"] == "https://10.1.0.2"
    assert with_own_certificate("terrace", "case", {"connection": connection}) == {"connection": connection}
    hidden = {"certificate": "PEM", "connection": "[secret]"}
    assert with_own_certificate("terrace", "case", hidden) == hidden
