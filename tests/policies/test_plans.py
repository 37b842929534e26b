"""Platforms of other shapes keep the rules of their tier, too; and which variables of roles no rule looks at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policies.evaluate import Finding
from policies.resource import Resource
from terrace import compliance
from terrace.catalog import Catalog
from terrace.resolve import Blueprint, resolve
from terrace.spec import Person, Team
from terrace.tiers import TierTable
from tests.components.recording import blueprint, plan
from tests.components.test_contract import OTHERS
from tests.components.test_hosts import HOSTS, _blueprint
from tests.host.conftest import make_project
from tests.policies.world import asked, careful, setting, wrong
from tests.unit.fake_flavors import load, stack


def stops(wanted: Blueprint) -> list[tuple[str, str, str]]:
    """Return what stops a blueprint: rule, resource, and property."""
    findings = findings_of(wanted)
    return [(each.rule.id, each.resource.path, each.where) for each in findings if each.stops or each.is_open]


def findings_of(wanted: Blueprint) -> list[Finding]:
    resources = [Resource(each.urn, each.type, each.inputs) for each in plan(wanted)]
    return asked(resources, setting(wanted.tier, use_cases=wanted.spec.use_cases))


@pytest.mark.parametrize("tier", range(1, 6))
def test_flavors_that_have_to_be_chosen_keep_the_rules(tier: int, tmp_path: Path) -> None:
    assert stops(blueprint(tier, tmp_path, OTHERS)) == []


@pytest.mark.parametrize("tier", range(1, 6))
def test_the_smallest_spec_keeps_the_rules(tier: int, tmp_path: Path) -> None:
    """Tier and target are enough, as the README says; what else there is to say is advised."""
    wanted = resolve(load(tmp_path, stack(tier=tier), Catalog(), TierTable.load()))
    resources = [Resource(each.urn, each.type, each.inputs) for each in plan(replace(wanted, environment="local"))]
    findings = asked(resources, setting(tier))
    assert [(each.rule.id, each.resource.path, each.where) for each in findings if each.stops or each.is_open] == []
    assert ("M13", "serving/mlserver-service") in wrong(findings)


def test_several_hosts_keep_the_rules(tmp_path: Path) -> None:
    wanted = _blueprint(tmp_path, HOSTS)
    findings = findings_of(wanted)
    assert [each for each in findings if each.stops or each.is_open] == []
    passed = {(each.rule.id, each.resource.path) for each in findings if each.status == "passes"}
    assert {("K8", f"platform/host-{name}") for name in ("store", "front", "eyes")} <= passed
    assert {("K12", f"platform/link-{name}") for name in ("store", "front", "eyes")} <= passed


def test_a_host_that_saves_nothing_is_seen(tmp_path: Path) -> None:
    wanted = _blueprint(tmp_path, HOSTS)
    resources = [Resource(each.urn, each.type, each.inputs) for each in plan(wanted)]
    told = setting(wanted.tier, use_cases=wanted.spec.use_cases)
    savers = {each.host: each.path for each in resources if each.slot == "backup" and each.role == "service"}
    assert set(savers) == {"store", "front", "eyes"}
    for host in ("front", "eyes"):
        left = [each for each in resources if each.path != savers[host]]
        found = [(each.rule.id, each.resource.path) for each in asked(left, told) if each.stops]
        assert found == [("M27", f"platform/host-{host}")]


def test_a_team_keeps_the_rules(tmp_path: Path) -> None:
    """Each person has a workbench of their own."""
    plain = blueprint(5, tmp_path)
    team = Team(
        people={name: Person(roles=("data_scientist",)) for name in ("ann", "bob")}, groups=plain.spec.team.groups
    )
    findings = findings_of(replace(plain, spec=plain.spec.model_copy(update={"team": team})))
    assert [each for each in findings if each.stops or each.is_open] == []
    passed = {(each.rule.id, each.resource.path) for each in findings if each.status == "passes"}
    assert {("M26", "workbench/wb-ann-service"), ("M26", "workbench/wb-bob-service")} <= passed


# What no rule misses where it is taken out, by role. What a role can't do without, it refuses itself.
EVERY = {"terrace_package_index", "terrace_proxy"}
UNNOTICED: dict[str, set[str]] = {
    "artifact_folder": {"artifact_folder_owner", "artifact_folder_path", *EVERY},
    "backup_place": {"backup_place_folder", "backup_place_owner", "backup_place_path", *EVERY},
    "base": {"base_ca_certificate", "base_uv_version", *EVERY},
    "encrypted_data": {"encrypted_data_program", *EVERY},
    "firewall": {"firewall_allow_users", *EVERY},
    "gateway_folder": {
        "gateway_folder_acts",
        "gateway_folder_path",
        "gateway_folder_route",
        "gateway_folder_upload_mb",
        *EVERY,
    },
    "host": {"host_project"},
    "postgres_database": {"database_name", "database_owner", "database_password", "postgres_database_accounts"}
    | {"postgres_database_schema", "postgres_port", *EVERY},
    "service": {"service_grows", "service_live_setup", "service_one_way", "service_packages", "service_reads_all"}
    | {"service_routes", "service_setup", "service_socket_for", "service_unsaved", "service_version", *EVERY},
}


def test_what_no_rule_looks_at_is_known() -> None:
    """Each variable of each role is taken out of the whole plan, one after the other."""
    resources, told = careful()
    names = {(each.role, name) for each in resources if each.role for name, _ in each.variables.items()}
    found: dict[str, set[str]] = {}
    for role, name in sorted(names):
        if not wrong(asked(_lacking(resources, role, name), told)):
            found.setdefault(role, set()).add(name)
    assert found == UNNOTICED


def _lacking(resources: Sequence[Resource], role: str, name: str) -> list[Resource]:
    return [_without(each, name) if each.role == role else each for each in resources]


def _without(resource: Resource, name: str) -> Resource:
    variables: dict[str, Any] = json.loads(resource.properties["variables"])
    variables.pop(name, None)
    return replace(resource, properties={**resource.properties, "variables": json.dumps(variables)})


def test_the_platforms_of_the_tests_keep_the_rules(tmp_path: Path) -> None:
    """Else every test on a live platform would end with what `up` refuses."""
    project = make_project(tmp_path, "test", 10_000)
    verdict = compliance.check(project.root, project.environment)
    assert verdict.is_kept(allow_undetermined=False), [each for each in verdict.findings if each.stops]
    assert [each.resource.path for each in verdict.findings if each.waiver] == ["platform/host"]
