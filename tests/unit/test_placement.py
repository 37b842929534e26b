"""Which host a slot is on, and which ports hosts reach of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from terrace.placement import Edge, edges, link_ports
from terrace.resolve import Blueprint, resolve
from terrace.tiers import TierTable
from tests.unit.fake_flavors import FakeCatalog, flavor, load, stack, table

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFYQ"
CATALOG = FakeCatalog(
    flavor("database", "sql", options={"port": 1, "metrics_port": 2}),
    flavor("tracking", "runs", options={"port": 3, "metrics_port": 4}, requires=("database", "gateway")),
    flavor("serving", "models", options={"port": 5}, requires=("tracking",)),
    flavor("gateway", "web", options={"port": 6, "status_port": 7}),
    flavor("monitoring", "eyes", options={"port": 8}, requires=("gateway",)),
    flavor("files", "folder", requires=("gateway",), beside="gateway"),
    flavor("backup", "copies", requires=("database",), beside="database"),
)
TIERS = table(
    **{
        slot: {"from_tier": 1, "group": group, "flavors": {"host": name}}
        for slot, name, group in (
            ("database", "sql", "data"),
            ("tracking", "runs", "tracking"),
            ("serving", "models", "serving"),
            ("gateway", "web", "serving"),
            ("monitoring", "eyes", "monitoring"),
            ("files", "folder", "data"),
            ("backup", "copies", "monitoring"),
        )
    }
)
HOSTS = f"""\
network: {{link_port: 9000}}
hosts:
  - {{name: a, address: 10.1.0.1, groups: [data]}}
  - {{name: b, address: 10.1.0.2, connection: ssh, host_key: {KEY}, groups: [tracking, serving]}}
  - {{name: c, address: 10.1.0.3, connection: ssh, host_key: {KEY}}}
"""


def blueprint(folder: Path, text: str) -> Blueprint:
    catalog: Any = CATALOG
    return resolve(load(folder, stack(text), catalog, TIERS), TIERS, catalog)


def test_a_slot_is_on_the_first_host_that_takes_its_group(tmp_path: Path) -> None:
    found = blueprint(tmp_path, HOSTS)
    assert found.places == {
        "database": "a",
        "tracking": "b",
        "serving": "b",
        "gateway": "b",
        "monitoring": "c",
        "files": "b",
        "backup": "a",
    }, "files is beside the gateway, and a host without groups takes what is left"
    assert found.host_of("monitoring").address == "10.1.0.3"


def test_one_host_takes_all_and_has_no_links(tmp_path: Path) -> None:
    found = blueprint(tmp_path, "hosts: [{name: only}]")
    catalog: Any = CATALOG
    assert set(found.places.values()) == {"only"}
    assert edges(found, catalog) == ()
    assert link_ports(found.spec) == {}


def test_one_host_more_moves_no_port_of_the_others(tmp_path: Path) -> None:
    """What listens there would be in the way of what comes there."""
    more = f"  - {{name: d, address: 10.1.0.4, connection: ssh, host_key: {KEY}, groups: [data]}}\n"
    before, after = (link_ports(blueprint(tmp_path, hosts).spec) for hosts in (HOSTS, HOSTS + more))
    assert before.items() <= after.items()
    assert len(after) == 12


def test_the_edges_are_those_of_the_graph(tmp_path: Path) -> None:
    catalog: Any = CATALOG
    found = set(edges(blueprint(tmp_path, HOSTS), catalog))
    assert Edge("b", "a", 1) in found, "tracking requires the database"
    assert Edge("b", "a", 2) in found, "the gateway may have a route to it"
    assert {Edge("c", "a", 1), Edge("c", "b", 4), Edge("c", "b", 7)} <= found, "monitoring sees all"
    assert {edge.consumer for edge in found} == {"b", "c"}, "a requires nothing of the others"
    assert 6 not in {edge.port for edge in found}, "the entrance listens on its host's address itself"
    assert {Edge("c", "a", 9000), Edge("c", "a", 9001), Edge("c", "b", 9003)} <= found
    assert Edge("c", "b", 9005) in found, "its backups; those of a tell at the slot's own port"
    assert Edge("c", "a", 9002) not in found
    assert Edge("c", "b", 8) not in found, "what is on the same host needs no link"


def test_what_is_not_seen_by_all_reaches_the_main_port_alone(tmp_path: Path) -> None:
    catalog: Any = CATALOG
    apart = HOSTS.replace("[tracking, serving]", "[tracking]").replace(
        "host_key: " + KEY + "}", "host_key: " + KEY + ", groups: [serving, monitoring]}"
    )
    found = {edge for edge in edges(blueprint(tmp_path, apart), catalog) if edge.consumer == "b"}
    assert found == {Edge("b", "a", 1)}, "the database's metrics are not for tracking"


def test_every_slot_says_its_group() -> None:
    rows = TierTable.load().slots
    assert [slot for slot, row in rows.items() if "group" not in row.model_fields_set] == []


@pytest.mark.parametrize("groups", ["[data]", "[data, tracking, monitoring]"])
def test_a_group_that_no_host_takes_is_an_error(tmp_path: Path, groups: str) -> None:
    from terrace.errors import InputErrors

    with pytest.raises(InputErrors, match="hosts: none takes the group"):
        blueprint(tmp_path, f"hosts: [{{groups: {groups}}}]")
