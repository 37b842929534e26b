"""What every flavor of the catalog promises, whoever wrote it."""

from __future__ import annotations

import inspect
import json
import re
import sys
from pathlib import Path

import pytest

from components.programs import lock_version
from terrace import platform
from terrace.catalog import Catalog
from terrace.tiers import TierTable
from tests.components.recording import GENERATED, ON_KUBERNETES, Recorded, blueprint, plan

CATALOG = Catalog()
FLAVORS = [(slot, flavor) for slot, flavors in CATALOG.flavors.items() for flavor in flavors]
TIERS = range(1, 6)
ON_HOSTS = [each for each in FLAVORS if "host" in CATALOG.component(*each).supports]
ON_CLUSTERS = [each for each in FLAVORS if "kubernetes" in CATALOG.component(*each).supports]
# Flavors that the highest tier doesn't have by itself.
OTHERS = [each for each in ON_HOSTS if each[1] != TierTable.load().default_flavor(each[0], "host", lambda _: TIERS[-1])]


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Recorded]]:
    """The plan of every tier with the flavors that have to be chosen there, or are at lower tiers only."""
    return {tier: plan(blueprint(tier, tmp_path_factory.mktemp("stack"), OTHERS)) for tier in TIERS}


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Recorded]]:
    """The plan of every tier."""
    return {tier: plan(blueprint(tier, tmp_path_factory.mktemp("stack"))) for tier in TIERS}


def test_there_are_flavors() -> None:
    assert len(FLAVORS) >= 11


def test_no_two_flavors_share_a_token() -> None:
    tokens = [CATALOG.component(*flavor).token for flavor in FLAVORS]
    assert sorted(set(tokens)) == sorted(tokens)


@pytest.mark.parametrize(("slot", "flavor"), FLAVORS)
def test_a_flavor_describes_itself(slot: str, flavor: str) -> None:
    component, spec = CATALOG.component(slot, flavor), CATALOG.spec_type(slot, flavor)
    module = sys.modules[component.__module__]
    assert re.fullmatch(rf"terrace:{slot}:[A-Z]\w+", component.token)
    assert "Provides" in (module.__doc__ or ""), "says what it provides"
    assert re.search(r"Leaves\s+out", module.__doc__ or ""), "says what it deliberately leaves out"
    assert "Upstream:" in (module.__doc__ or ""), "names what it was written for"
    assert inspect.getdoc(component)
    assert spec.model_fields["flavor"].default == flavor
    undescribed = [name for name, field in spec.model_fields.items() if name != "flavor" and not field.description]
    assert undescribed == []


@pytest.mark.parametrize(("slot", "flavor"), FLAVORS)
def test_what_a_flavor_needs_are_slots(slot: str, flavor: str) -> None:
    component = CATALOG.component(slot, flavor)
    known = {*component.requires, *component.uses}
    assert known <= CATALOG.flavors.keys() - {slot}
    assert known >= {*(component.connects or ())}
    assert set(component.supports) <= {"host", "kubernetes", "aws"}
    assert component.supports


@pytest.mark.parametrize(("slot", "flavor"), ON_HOSTS)
def test_a_flavor_is_planned_with_all_its_children_below_it(
    plans: dict[int, list[Recorded]], others: dict[int, list[Recorded]], slot: str, flavor: str
) -> None:
    token = CATALOG.component(slot, flavor).token
    plans = others if (slot, flavor) in OTHERS else plans
    planned = [tier for tier in TIERS if any(resource.type == token for resource in plans[tier])]
    assert planned, "no tier plans it"
    assert planned == list(range(planned[0], 6)), "a higher tier drops it"
    for tier in planned:
        (component,) = [resource for resource in plans[tier] if resource.type == token]
        assert component.parent.endswith("terrace:platform:Platform::platform")
        assert f"${token}::" in component.urn


@pytest.fixture(scope="module")
def in_cluster(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    """The plan of a tier on Kubernetes."""
    return plan(blueprint(ON_KUBERNETES, tmp_path_factory.mktemp("stack"), target="kubernetes"))


@pytest.fixture(scope="module")
def others_in_cluster(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    """The plan of the same tier there, with the flavors that have to be chosen, or are at lower tiers only."""
    chosen = [("pipelines", "timer")]
    return plan(blueprint(ON_KUBERNETES, tmp_path_factory.mktemp("stack"), chosen, target="kubernetes"))


@pytest.mark.parametrize(("slot", "flavor"), [each for each in ON_CLUSTERS if each != ("artifact_store", "s3")])
def test_a_flavor_is_planned_on_kubernetes_too(
    in_cluster: list[Recorded], others_in_cluster: list[Recorded], slot: str, flavor: str
) -> None:
    token = CATALOG.component(slot, flavor).token
    (component,) = {
        resource.urn: resource for resource in (*others_in_cluster, *in_cluster) if resource.type == token
    }.values()
    assert component.parent.endswith("terrace:platform:Platform::platform")


def test_everything_has_a_parent_and_no_name_says_where_it_runs(
    plans: dict[int, list[Recorded]], in_cluster: list[Recorded]
) -> None:
    for resource in (*plans[3], *in_cluster):
        if resource.type != "terrace:platform:Platform":
            assert "pulumi:pulumi:Stack::" not in resource.parent, resource.urn
        assert not re.search(r"local|prod|staging|\d+\.\d+", resource.name), resource.urn


@pytest.fixture(params=["plans", "others"])
def highest(request: pytest.FixtureRequest) -> list[Recorded]:
    """The plan of the highest tier, with the flavors that it has by itself and with the others."""
    planned: dict[int, list[Recorded]] = request.getfixturevalue(request.param)
    return planned[5]


def test_services_listen_on_ports_of_their_own(highest: list[Recorded]) -> None:
    services = [r.inputs for r in highest if r.inputs.get("role") == "service"]
    ports = [port for inputs in services for port in json.loads(inputs["variables"])["service_ports"]]
    assert len(ports) == len(set(ports))
    assert min(ports) >= 1024


@pytest.mark.parametrize("word", ["PASSWORD", "SECRET", "TOKEN"])
def test_what_is_called_a_secret_is_kept_as_one(highest: list[Recorded], word: str) -> None:
    """A plain variable stands in the clear in the inventory's documentation and in golden plans."""
    services = [r.inputs for r in highest if r.inputs.get("role") == "service"]
    plain = {name: value for inputs in services for name, value in _environment(inputs).items() if word in name}
    assert [name for name, value in plain.items() if "[" in value] == []


def _environment(inputs: dict[str, str]) -> dict[str, str]:
    environment: dict[str, str] = json.loads(inputs["variables"])["service_environment"]
    return environment


def test_every_service_is_probed_measured_and_limited(highest: list[Recorded]) -> None:
    for inputs in (r.inputs for r in highest if r.inputs.get("role") == "service"):
        variables = json.loads(inputs["variables"])
        assert variables["service_probe"], inputs["instance"]
        assert variables["service_metrics"], inputs["instance"]
        assert all(process["memory_mb"] > 0 for process in variables["service_processes"]), inputs["instance"]


@pytest.mark.parametrize(("slot", "flavor"), ON_HOSTS)
def test_a_lock_has_a_version_under_which_its_data_is_noted(
    plans: dict[int, list[Recorded]], others: dict[int, list[Recorded]], slot: str, flavor: str
) -> None:
    artifact = CATALOG.component(slot, flavor).artifact
    if artifact.lock:
        plan = (others if (slot, flavor) in OTHERS else plans)[5]
        (noted,) = [r.inputs for r in plan if r.name == f"{artifact.lock}-service"]
        version, variables = lock_version(artifact.lock, artifact.package), json.loads(noted["variables"])
        assert variables["service_version"] == (version if variables["service_python_lock"] else "")
        (host,) = [r.inputs for r in plan if r.type == "terrace:Host"]
        assert host["software"][artifact.lock]["version"] == version


def test_no_command_holds_a_secret(highest: list[Recorded]) -> None:
    generated = {f"[{r.name}]" for r in highest if r.type in GENERATED}
    assert len(generated) >= 8
    for inputs in (r.inputs for r in highest if r.inputs.get("role") == "service"):
        variables = json.loads(inputs["variables"])
        words = [
            w for part in ("service_setup", "service_processes") for each in variables[part] for w in each["command"]
        ]
        assert [word for word in words if any(secret in word for secret in generated)] == [], inputs["instance"]


def test_the_core_knows_no_flavors_name() -> None:
    names = {flavor for _, flavor in FLAVORS} - {"filesystem"}
    root = Path(platform.__file__).parent
    core = [file for file in root.rglob("*.py") if not {"cli", "engine"} & set(file.relative_to(root).parts)]
    found = {(file.name, name) for file in core for name in names if re.search(rf"[\"']{name}[\"']", file.read_text())}
    assert found == set()
