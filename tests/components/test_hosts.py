"""A platform on several hosts: what is on which, what ties them together, and that each flavor is as on one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from terrace import config, platform, stackfile
from terrace.catalog import Catalog
from terrace.resolve import Blueprint, resolve
from terrace.tiers import TierTable
from tests.components.recording import ENVIRONMENT, ROOT, Recorded, plan

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDHscjJnDZ8CrQPEH0xuF0ZMdphZ3bq57/nrluojxGcx"
FIREWALL = "configure: {firewall: {}}"
HOSTS = f"""\
    name: platform
    hosts:
      - {{name: store, address: 10.1.0.1, groups: [data, tracking], connection: ssh, host_key: {KEY}, {FIREWALL}}}
      - {{name: front, address: 10.1.0.2, groups: [serving, training], connection: ssh, host_key: {KEY}, {FIREWALL}}}
      - name: eyes
        address: 10.1.0.3
        groups: [monitoring]
        connection: ssh
        host_key: {KEY}
        {FIREWALL}
"""


def _blueprint(folder: Path, hosts: str) -> Blueprint:
    file = folder / f"Pulumi.{ENVIRONMENT}.yaml"
    text = (ROOT / "stacks" / file.name).read_text(encoding="utf-8")
    assert "    name: platform\n" in text
    file.write_text(text.replace("    name: platform\n", hosts), encoding="utf-8")
    catalog, table = Catalog(), TierTable.load()
    return resolve(config.parse(stackfile.read(file, file.name), ENVIRONMENT, catalog, table), table, catalog)


def _plan(blueprint: Blueprint, look: Callable[[platform.Platform], Any]) -> dict[str, Recorded]:
    return {resource.name: resource for resource in plan(blueprint, look) if resource.custom}


@pytest.fixture(scope="module")
def inventory() -> dict[str, Any]:
    """What Ansible is told without Pulumi, once ``planned`` is."""
    return {}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory, inventory: dict[str, Any]) -> dict[str, Recorded]:
    def look(built: platform.Platform) -> Any:
        return pulumi.Output.from_input(built.targets.exports()["inventory"]).apply(inventory.update)

    return _plan(_blueprint(tmp_path_factory.mktemp("hosts"), HOSTS), look)


def _host(resource: Recorded) -> str:
    name: str = json.loads(resource.inputs["host"])["name"]
    return name


def _variables(resource: Recorded) -> dict[str, Any]:
    variables: dict[str, Any] = json.loads(resource.inputs["variables"])
    return variables


def test_each_slot_is_on_the_host_of_its_group(planned: dict[str, Recorded]) -> None:
    found = {name: _host(planned[name]) for name in planned if name.endswith("-service")}
    assert {found[f"{name}-service"] for name in ("postgres", "mlflow", "backup", "feast")} == {"store"}
    assert {found[f"{name}-service"] for name in ("gateway", "mlserver", "airflow")} == {"front"}
    assert {found[f"{name}-service"] for name in ("prometheus", "portal", "evidently")} == {"eyes"}
    assert {_host(planned[f"base-{name}"]) for name in ("store", "front", "eyes")} == {"store", "front", "eyes"}


def test_what_shares_files_is_on_one_host(planned: dict[str, Recorded]) -> None:
    assert _host(planned["mlflow-artifact_folder"]) == "store", "beside MLflow, which writes it"
    assert _host(planned["dvc-artifact_folder"]) == _host(planned["dvc-gateway_folder"]) == "front"


def test_a_database_is_made_on_its_servers_host_for_a_consumer_on_another(planned: dict[str, Recorded]) -> None:
    database = planned["predictions-postgres_database"]
    assert _host(database) == "store"
    assert _variables(planned["mlserver-service"])["service_environment"]["PGHOST"] == "127.0.0.1"


def test_gateway_and_monitoring_are_told_of_what_is_elsewhere(planned: dict[str, Recorded]) -> None:
    routed, scraped = planned["mlflow-announcement-front"], planned["mlflow-announcement-eyes"]
    assert (_host(routed), _host(scraped)) == ("front", "eyes")
    assert [route["path"] for route in _variables(routed)["service_routes"]] == ["/mlflow/"]
    assert "service_metrics" not in _variables(routed)
    assert [metrics["port"] for metrics in _variables(scraped)["service_metrics"]] == [15001]
    own = _variables(planned["mlflow-service"])
    assert (own["service_routes"], own["service_metrics"]) == ([], [])
    assert "gateway-announcement-front" not in planned, "it is there itself"


def test_each_host_saves_what_lies_on_it(planned: dict[str, Recorded]) -> None:
    first, front = (_variables(planned[name]) for name in ("backup-service", "host-backup-front"))
    assert _host(planned["host-backup-front"]) == _host(planned["host-backup-front-backup_place"]) == "front"
    assert "host-backup-store" not in planned, "the slot's own service is there"
    assert front["service_packages"] == ["restic"]
    told = front["service_environment"]
    assert (told["BACKUP_PLACE"], told["BACKUP_PORT"]) == (f"/var/backups/terrace/{ENVIRONMENT}.front", "15205")
    assert (first["service_environment"]["BACKUP_AT"], told["BACKUP_AT"]) == ("02:30", "02:40"), "rows before files"
    assert "BACKUP_SOCKET" not in told
    assert first["service_secrets"] == front["service_secrets"], "one password opens all"
    assert _variables(planned["host-backup-front-announcement-eyes"])["service_metrics"][0]["port"] == 15205
    assert _firewall(planned, "front")[15205]["hosts"] == ["10.1.0.3"], "monitoring asks how it goes"
    assert [host["name"] for host in json.loads(planned["host-front"].inputs["backup"])] == ["store", "front", "eyes"]


def _link(planned: dict[str, Recorded], host: str) -> dict[str, str]:
    files = _variables(planned[f"link-{host}"])["service_live_files"]
    return {file["path"]: file["content"] for file in files}


def test_a_link_carries_its_hosts_edges_by_mutual_tls(planned: dict[str, Recorded]) -> None:
    store, front = _link(planned, "store"), _link(planned, "front")
    assert "listen 10.1.0.1:15432 ssl" in store["nginx.conf"]
    assert "listen 127.0.0.1:15432 so_keepalive=on;\n    proxy_pass 10.1.0.1:15432;" in front["nginx.conf"]
    assert "proxy_ssl_name store;" in front["nginx.conf"]
    assert front["authorities/store.crt"] == "[authority-store-certificate]"
    assert store["clients/15432.crt"] == "[authority-eyes-certificate][authority-front-certificate]", (
        "both have the edge, and nobody else"
    )
    assert store["clients/15433.crt"] == "[authority-eyes-certificate][authority-front-certificate]"
    assert store["clients/15200.crt"] == "[authority-eyes-certificate]", "how the host is, monitoring alone may ask"
    assert "8443" not in store["nginx.conf"] + front["nginx.conf"]
    assert "listen 10.1.0.2:15432" not in front["nginx.conf"]


def _firewall(planned: dict[str, Recorded], host: str) -> dict[int, dict[str, Any]]:
    variables = _variables(planned[f"firewall-{host}"])
    return {each["port"]: each for each in variables["firewall_listeners"]}


def test_a_hosts_firewall_opens_a_port_to_the_hosts_with_the_edge(planned: dict[str, Recorded]) -> None:
    store, front, eyes = (_firewall(planned, host) for host in ("store", "front", "eyes"))
    assert store[15432]["hosts"] == ["10.1.0.3", "10.1.0.2"], "drift and the portal, serving and pipelines"
    assert store[15432]["callers"] == ["feast", "link", "mlflow", "postgres"]
    assert store[15433]["hosts"] == ["10.1.0.3"], "metrics are for monitoring"
    assert front[15432] == {"port": 15432, "service": "link", "callers": ["airflow", "link", "mlserver"], "hosts": []}
    assert front[15433]["callers"] == ["link"]
    assert eyes[15433]["callers"] == ["link", "prometheus"]
    assert (store[15200]["service"], store[15200]["hosts"]) == ("link", ["10.1.0.3"])
    assert eyes[15200]["callers"] == ["link", "portal", "prometheus"]
    assert 8443 not in front


def test_what_is_told_the_audit_log_on_another_host_says_who_speaks(planned: dict[str, Recorded]) -> None:
    store, front = (_variables(planned[f"link-{host}"]) for host in ("store", "front"))
    processes = {each["name"]: each["command"] for each in front["service_processes"]}
    assert processes["audit"] == ["/usr/bin/python3", "-m", "audit_log.relay"]
    assert front["service_environment"]["AUDIT_ADDRESS"] == "10.1.0.1"
    assert "audit" not in {each["name"] for each in store["service_processes"]}, "the log is there itself"
    assert "127.0.0.1:18190" not in _link(planned, "front")["nginx.conf"], "the program listens there"
    configuration = _link(planned, "store")["nginx.conf"]
    assert configuration.count("listen 10.1.0.1:18190 ssl") == 1
    assert f'"CN=Terrace {ENVIRONMENT} front" front;' in configuration
    told = _variables(planned["audit-service"])["service_environment"]
    assert (told["AUDIT_GATEWAY_HOST"], told["AUDIT_SOURCES"]) == ("front", "gateway,mlflow,mlserver")


def test_only_a_host_has_its_own_authoritys_key(planned: dict[str, Recorded]) -> None:
    for name in ("store", "front", "eyes"):
        files = {file["path"]: file["content"] for file in _variables(planned[f"link-{name}"])["service_files"]}
        assert files["ca.key"] == f"[authority-{name}]"
    holders = [
        name
        for name, each in planned.items()
        if "[authority]" in str(each.inputs.get("variables")) and "ca.key" in str(each.inputs["variables"])
    ]
    assert holders == ["gateway-service"], "the environment's authority stays at the entrance"


def test_the_gateway_listens_on_its_hosts_address(planned: dict[str, Recorded]) -> None:
    environment = _variables(planned["gateway-service"])["service_environment"]
    assert environment["CERTIFICATE_HOSTS"] == "10.1.0.2,localhost,127.0.0.1"


@pytest.mark.usefixtures("planned")
def test_the_inventory_says_how_each_host_is_reached(inventory: dict[str, Any]) -> None:
    hosts = inventory["all"]["hosts"]
    assert set(hosts) == {"store", "front", "eyes"}
    store = {name: value for name, value in hosts["store"].items() if name != "terrace_roles"}
    assert store == {
        "ansible_connection": "ssh",
        "ansible_host": "10.1.0.1",
        "ansible_port": 22,
        "ansible_user": "root",
        "ansible_become": False,
    }
    roles = [role["role"]["__ansible_unsafe"] for role in hosts["store"]["terrace_roles"]]
    assert roles[:4] == ["host", "base", "firewall", "service"], "its link comes first"


def test_one_other_machine_has_no_links_and_all_slots(tmp_path: Path) -> None:
    hosts = f"""\
    name: platform
    hosts: [{{name: far, address: 10.1.0.9, connection: ssh, host_key: {KEY}, user: deploy}}]
"""
    listed: list[dict[str, Any]] = []

    def look(built: platform.Platform) -> None:
        listed.extend(built.services)

    found = _plan(_blueprint(tmp_path, hosts), look)
    roles = {name: each for name, each in found.items() if "host" in each.inputs}
    assert {_host(each) for each in roles.values()} == {"far"}
    assert not [name for name in found if "link" in name or "announcement" in name]
    assert {service["host"] for service in listed} == {"far"}
    reached = json.loads(found["host-far"].inputs["host"])
    assert reached == {
        "name": "far",
        "address": "10.1.0.9",
        "connection": "ssh",
        "port": 22,
        "user": "deploy",
        "host_key": KEY,
    }
    environment = _variables(found["gateway-service"])["service_environment"]
    assert environment["CERTIFICATE_HOSTS"] == "10.1.0.9,localhost,127.0.0.1"
