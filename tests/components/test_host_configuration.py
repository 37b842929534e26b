"""What of a machine itself is planned: nothing by default, and all that the spec turns on."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime import settings

from components.base import Component
from terrace import at_rest
from terrace.errors import InputError
from terrace.resolve import Blueprint
from terrace.spec import Host, Person, Team
from terrace.spec_host import HostConfiguration
from tests.components.recording import Recorded, blueprint, event_loop, plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK0 ann@laptop"
ROLES = {"encrypted_data", "users", "hardening", "firewall", "time", "container_runtime", "kubernetes_node", "gpu"}
EVERYTHING = {
    "users": {"admins": ["ann"]},
    "hardening": {},
    "encrypted_data": {},
    "firewall": {"allow_users": ["ann"]},
    "time": {"servers": ["ntp.example"]},
    "container_runtime": {},
    "kubernetes_node": {},
    "gpu": {"driver": "535.1-1"},
}


def configured(folder: Path, configure: Mapping[str, Any]) -> Blueprint:
    """Return the local environment's blueprint at tier 3 with a configured host."""
    plain = blueprint(3, folder)
    host = Host(configure=HostConfiguration.model_validate(configure))
    team = Team(people={"ann": Person(ssh_keys=(KEY,))})
    return replace(plain, spec=plain.spec.model_copy(update={"hosts": (host,), "team": team}))


def roles(planned: list[Recorded]) -> dict[str, dict[str, Any]]:
    return {r.inputs["role"]: json.loads(r.inputs["variables"]) for r in planned if r.type == "terrace:HostRole"}


def test_nothing_of_the_machine_is_touched_by_default(tmp_path: Path) -> None:
    assert ROLES & roles(plan(blueprint(5, tmp_path))).keys() == set()


def test_every_part_that_is_on_is_a_role(tmp_path: Path) -> None:
    planned = roles(plan(configured(tmp_path, EVERYTHING)))
    assert planned.keys() >= ROLES
    own = {
        role: {name: value for name, value in planned[role].items() if name.startswith(role)}
        for role in ROLES - {"encrypted_data", "firewall"}
    }
    assert own == {
        "users": {"users_ssh_keys": [KEY], "users_sudo": True},
        "hardening": {"hardening_ssh_passwords": False, "hardening_security_updates": True},
        "time": {"time_servers": ["ntp.example"]},
        "container_runtime": {},
        "kubernetes_node": {},
        "gpu": {
            "gpu_driver": "535.1-1",
            "gpu_package": "nvidia-driver",
            "gpu_toolkit": "",
            "gpu_allow_reboot": False,
        },
    }


def test_every_folder_with_data_or_secrets_is_to_be_encrypted(tmp_path: Path) -> None:
    plain = configured(tmp_path, {"encrypted_data": {}})
    store = plain.slots["artifact_store"].model_copy(update={"folder": "/srv/artifacts"})
    planned = roles(plan(replace(plain, slots={**plain.slots, "artifact_store": store})))
    variables = planned["encrypted_data"]
    assert variables["encrypted_data_folders"] == ["/var/lib/terrace/local", "/etc/terrace/local", "/srv/artifacts"]
    assert variables["encrypted_data_program"] == Path(at_rest.__file__).read_text(encoding="utf-8")


def test_a_configured_machine_is_the_same_host(tmp_path: Path) -> None:
    """Turning a part on converges this part's role, and not every role of the host anew."""

    def host(planned: list[Recorded]) -> Any:
        return next(r.inputs["host"] for r in planned if r.type == "terrace:Host")

    (tmp_path / "plain").mkdir()
    assert host(plan(configured(tmp_path, EVERYTHING))) == host(plan(blueprint(3, tmp_path / "plain")))


def test_the_firewall_knows_every_port_but_the_entrance(tmp_path: Path) -> None:
    planned = plan(configured(tmp_path, {"firewall": {}}))
    services = [json.loads(r.inputs["variables"]) for r in planned if r.inputs.get("role") == "service"]
    every = {port: service["service_name"] for service in services for port in service["service_ports"]}
    guarded = {each["port"]: each["service"] for each in roles(planned)["firewall"]["firewall_listeners"]}
    assert {port for port in every if port not in guarded} == {8443}
    assert guarded.items() <= every.items()


# Who has business with which port, by hand: a service's own, and what its program was seen to connect to.
CALLERS = {
    15000: "evidently gateway mlflow mlserver portal",  # tracking, which is the registry too
    15001: "mlflow prometheus",
    15050: "gateway portal prometheus workbench",
    15060: "backup portal prometheus",
    15070: "gateway portal prometheus",
    15080: "gateway prometheus",
    15081: "gateway prometheus",
    15091: "airflow gateway portal prometheus",
    15092: "airflow gateway",
    15432: "airflow evidently feast mlflow mlserver portal postgres",  # a backup enters by the socket
    15433: "postgres prometheus",
    16566: "feast gateway portal",
    16567: "feast prometheus",
    18080: "gateway mlserver portal",
    18081: "mlserver",  # gRPC, which nobody uses
    18082: "mlserver prometheus",
    18083: "mlserver prometheus",
    18084: "mlserver prometheus",
    18180: "evidently gateway portal prometheus",
    18190: "audit gateway mlflow mlserver portal prometheus",  # they send what was done
    19090: "gateway portal prometheus",
    19093: "gateway portal prometheus",
    19100: "portal prometheus",
}


def test_every_port_is_open_to_who_has_business_there(tmp_path: Path) -> None:
    planned = roles(plan(configured(tmp_path, {"firewall": {}})))
    listeners = planned["firewall"]["firewall_listeners"]
    assert {each["port"]: " ".join(each["callers"]) for each in listeners} == CALLERS


def test_where_no_predictions_are_kept_the_database_is_closed_to_who_looks_at_them(tmp_path: Path) -> None:
    plain = configured(tmp_path, {"firewall": {}})
    serving = plain.slots["serving"].model_copy(update={"predictions_days": 0})
    planned = roles(plan(replace(plain, slots={**plain.slots, "serving": serving})))
    callers = {each["port"]: each["callers"] for each in planned["firewall"]["firewall_listeners"]}
    assert "evidently" not in callers[15432]
    assert callers[15432] == ["airflow", "feast", "mlflow", "mlserver", "portal", "postgres"]


def test_a_platform_that_cannot_be_declared_ends_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The firewall waits for the edges, which then never come: its resource must not keep the program waiting."""

    def fail(self: Component[Any, Any], *_arguments: Any) -> None:
        raise InputError("this slot can't be declared")

    from components.monitoring.prometheus import Prometheus

    monkeypatch.setattr(Prometheus, "build", fail)
    try:
        with pytest.raises(InputError, match="this slot can't be declared"):
            plan(configured(tmp_path, {"firewall": {}}))
    finally:
        forget()


def forget() -> None:
    """Let what still waits end, and its failures be forgotten: the next program of this process would meet them."""
    loop = event_loop()
    loop.run_until_complete(asyncio.wait_for(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True), 30))
    settings._get_rpc_manager().clear()
    settings.SETTINGS.outputs.clear()
    gc.collect()  # what is left of them complains now, and not in the midst of whatever comes later
