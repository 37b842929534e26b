"""Documents of the Kubernetes target, from workloads of the tests' own."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from terrace.edges import Listener
from terrace.images import Images
from terrace.images.table import ImageTable
from terrace.rights import RightsTable, SlotRights
from terrace.spec_kubernetes import Kubernetes
from terrace.targets.kubernetes import content, namespace, network
from terrace.targets.kubernetes.announced import ROUTE_TEXTS
from terrace.targets.kubernetes.network import Calls
from terrace.targets.kubernetes.nodes import Nodes
from terrace.targets.kubernetes.pods import CHECKSUM, Pod, Surroundings
from terrace.team import Member
from terrace.workload import Artifact, File, Port, Probe, Process, Route, SetupStep, Workload

FILL = content.pod_filler("/usr/local/bin")
KEY = pulumi.Output.from_input("key")
SERVER = Process("server", ("$(BIN)/serve", "$(CONFIG)/a.conf", "cost: $5"), memory_mb=300, copies=2, stop_seconds=45)
WORKLOAD = Workload(
    name="shop",
    artifact=Artifact(image="postgres"),
    processes=(SERVER, Process("other", ("$(PYTHON)", "-V"), memory_mb=100, image="python")),
    ports=(Port("http", 15000), Port("entrance", 8443, public=True)),
    files=(File("a.conf", "listen $(LISTEN) in $(DATA)"), File("sub/b.json", pulumi.Output.from_input("secret"))),
    environment={"HOME": "$(DATA)", "PRICE": "$(HOME)"},
    secrets={"PASSWORD": pulumi.Output.from_input("hush")},
    probe=Probe("http", "/health", timeout_seconds=60),
)


def known(value: pulumi.Input[Any]) -> Any:
    """Wait for an output, as the engine does before it sends it."""
    found: list[Any] = []
    pulumi.runtime.test(lambda: pulumi.Output.from_input(value).apply(found.append))()
    return found[0]


def content_of(workload: Workload = WORKLOAD) -> content.Content:
    return content.content_of(workload, FILL, {}, KEY)


def template(workload: Workload = WORKLOAD, tier: int = 1, pull_secret: str | None = None) -> dict[str, Any]:
    around = Surroundings("dev", tier, Images("", None, ImageTable.load()), {}, "authority", pull_secret)
    anywhere = Nodes.of(Kubernetes(), "tracking")
    return Pod(workload, content_of(workload), FILL, {}, 10001, around, anywhere).template()


def test_places_are_those_of_a_pod_and_no_variable_is_put_in_by_kubernetes() -> None:
    (server, other) = template()["spec"]["containers"]

    assert server["command"] == ["/usr/local/bin/serve", "/terrace/config/a.conf", "cost: $$5"]
    assert other["command"] == ["/usr/local/bin/python3", "-V"]
    variables = {each["name"]: each for each in server["env"]}
    assert variables["HOME"]["value"] == "/terrace/data"
    assert variables["PRICE"]["value"] == "$$(HOME)"
    assert variables["PASSWORD"]["valueFrom"] == {"secretKeyRef": {"name": "shop", "key": "PASSWORD"}}
    assert content_of().config_map() == {"a.conf": "listen 0.0.0.0 in /terrace/data"}


def test_an_output_goes_into_the_secret() -> None:
    data = content_of().secret_data()

    assert {key: base64.b64decode(known(value)).decode() for key, value in data.items()} == {
        "sub__b.json": "secret",
        "PASSWORD": "hush",
    }
    assert all(known(pulumi.Output.from_input(value.is_secret())) for value in data.values())
    sources = content_of().volume("shop")["projected"]["sources"]
    assert sources == [
        {"configMap": {"name": "shop", "items": [{"key": "a.conf", "path": "a.conf"}]}},
        {"secret": {"name": "shop", "items": [{"key": "sub__b.json", "path": "sub/b.json"}]}},
    ]


@pytest.mark.parametrize(
    ("changed", "is_replaced"),
    [
        ({"files": (File("a.conf", "other"),)}, True),
        ({"secrets": {"PASSWORD": pulumi.Output.from_input("other")}}, True),
        ({"files": (*WORKLOAD.files, File("people", "ann", live=True))}, False),
        (
            {
                "files": (*WORKLOAD.files, File("people", "ann", live=True)),
                "setup": (SetupStep("people", ("x",), live=True),),
            },
            True,
        ),
    ],
    ids=["a file", "a secret", "a file that it reads anew", "a file that a live step takes"],
)
def test_a_pod_is_replaced_when_what_it_has_read_changes(changed: dict[str, Any], is_replaced: bool) -> None:
    before, after = (known(content_of(each).checksum) for each in (WORKLOAD, replace(WORKLOAD, **changed)))

    assert (before != after) is is_replaced


def test_a_checksum_tells_nothing_without_the_key() -> None:
    other = content.content_of(WORKLOAD, FILL, {}, pulumi.Output.from_input("another key"))

    assert known(other.checksum) != known(content_of().checksum)
    assert not known(pulumi.Output.from_input(content_of().checksum.is_secret()))
    assert known(template()["metadata"]["annotations"][CHECKSUM]) == known(content_of().checksum)


def test_files_that_no_object_holds_are_a_defect() -> None:
    large = replace(WORKLOAD, files=(File("a", "x" * 1024 * 1024),))

    with pytest.raises(ValueError, match="a ConfigMap holds"):
        content_of(large).config_map()


def test_memory_is_that_of_all_processes_and_setup_may_take_the_largest() -> None:
    spec = template(replace(WORKLOAD, setup=(SetupStep("make", ("x",), image="python"),)))["spec"]

    assert [each["resources"]["limits"]["memory"] for each in spec["containers"]] == ["600Mi", "100Mi"]
    assert spec["initContainers"][0]["resources"]["limits"] == {"memory": "600Mi"}
    assert spec["initContainers"][0]["name"] == "setup-make"
    assert spec["initContainers"][0]["image"].startswith("docker.io/library/python:")
    assert spec["terminationGracePeriodSeconds"] == 55


def test_probes_wait_as_long_as_the_service_may_take() -> None:
    first, second = template()["spec"]["containers"]

    assert first["startupProbe"] == {
        "httpGet": {"path": "/health", "port": "http"},
        "periodSeconds": 2,
        "failureThreshold": 30,
    }
    assert "livenessProbe" not in second
    begun = template(replace(WORKLOAD, probe=Probe("http", "/health", alive="/alive")))["spec"]["containers"][0]
    paths = {name: begun[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert paths == {"startup": "/health", "readiness": "/alive", "liveness": "/alive"}
    refused = replace(WORKLOAD, probe=Probe("http", "/", status=401))
    with pytest.raises(ValueError, match="status 401"):
        template(refused)


def test_the_root_is_read_only_from_tier_4() -> None:
    for tier, is_read_only in ((3, False), (4, True)):
        for container in template(tier=tier)["spec"]["containers"]:
            assert ("readOnlyRootFilesystem" in container["securityContext"]) is is_read_only


def test_data_goes_with_the_pod_unless_it_has_a_volume() -> None:
    def volumes(workload: Workload) -> list[str]:
        return [each["name"] for each in template(workload)["spec"]["volumes"]]

    assert "data" in volumes(WORKLOAD)
    assert "data" not in volumes(replace(WORKLOAD, volume_gb=5))


def test_a_private_registry_has_its_secret() -> None:
    assert template(pull_secret="mirror")["spec"]["imagePullSecrets"] == [{"name": "mirror"}]
    assert "imagePullSecrets" not in template()["spec"]


def test_a_route_leads_to_the_service_by_its_name() -> None:
    routed = replace(WORKLOAD, routes=(Route("/shop/", "http", "gateway", "tracking"),))

    assert "proxy_pass http://shop:15000/;" in ROUTE_TEXTS["conf"]([WORKLOAD, routed])
    assert '"~^(GET|HEAD|OPTIONS) /shop/" read;' in ROUTE_TEXTS["needs"]([routed])


def test_both_ends_of_an_edge_are_opened_and_nothing_else() -> None:
    store = replace(WORKLOAD, name="store", ports=(Port("sql", 15432),))
    listeners = [Listener(15432, "store", ("shop", "store"))]
    found = network.policies([WORKLOAD, store], listeners, [Calls("bucket", {"store": 15432})], network.Outside((), ()))

    peers = {"from": [{"podSelector": {"matchLabels": {network.NAME: name}}} for name in ("bucket", "shop")]}
    assert found["store"]["ingress"] == [{**peers, "ports": [{"protocol": "TCP", "port": 15432}]}]
    assert "egress" not in found["store"]
    assert found["shop"]["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8443}]}]
    assert [rule["ports"][0]["port"] for rule in found["shop"]["egress"]] == [15432]
    assert "ingress" not in found["bucket"]


@pytest.mark.parametrize(
    ("networks", "addresses", "ports"),
    [
        ((), ("https://pypi.org",), [443]),
        ((), ("https://index.example.com:8080/simple", "http://proxy"), [80, 8080]),
        (("10.1.0.0/16",), ("https://pypi.org", None), None),
    ],
)
def test_what_is_outside_is_reached_by_its_port(
    networks: tuple[str, ...], addresses: tuple[str | None, ...], ports: list[int] | None
) -> None:
    loading = replace(WORKLOAD, downloads=True)
    (rule,) = network.policies([loading], [], [], network.Outside(networks, addresses))["shop"]["egress"]

    blocks = [peer["ipBlock"] for peer in rule["to"]]
    assert blocks == ([{"cidr": each} for each in networks] or [{"cidr": "0.0.0.0/0", "except": list(network.PRIVATE)}])
    assert ("ports" in rule) is (ports is not None)
    if ports:
        assert [each["port"] for each in rule["ports"]] == ports


def test_who_has_nothing_outside_stays_inside() -> None:
    outside = network.Outside((), ("https://pypi.org",))
    found = network.policies(
        [WORKLOAD, replace(WORKLOAD, name="user", outside=("https://store:9000",))],
        [],
        [Calls("bucket", {}, ("http://store",))],
        outside,
    )

    assert "egress" not in found["shop"]
    assert [port["port"] for port in found["user"]["egress"][0]["ports"]] == [9000]
    assert [port["port"] for port in found["bucket"]["egress"][0]["ports"]] == [80]


def test_pod_security_is_enforced_by_tier() -> None:
    enforced = [namespace.pod_security(tier)["pod-security.kubernetes.io/enforce"] for tier in range(1, 6)]

    assert enforced == ["baseline", "baseline", "restricted", "restricted", "restricted"]
    assert {namespace.pod_security(tier)["pod-security.kubernetes.io/warn"] for tier in range(1, 6)} == {"restricted"}


def test_a_quota_lets_a_balancer_be_made_only_where_it_is_wanted() -> None:
    for entrances in (0, 1):
        hard = namespace.quota(entrances)["hard"]
        assert (hard["services.loadbalancers"], hard["services.nodeports"]) == (str(entrances), str(entrances))


def test_roles_of_a_team_see_no_secret() -> None:
    table = RightsTable.load()
    rules = namespace.roles(table)

    assert set(rules) == {
        "solution_architect",
        "data_scientist",
        "data_engineer",
        "software_engineer",
        "ml_engineer",
        "devops_engineer",
    }
    seen = {resource for each in rules.values() for rule in each for resource in rule["resources"]}
    assert not {"secrets", "configmaps", "pods/exec", "*"} & seen
    changing = {role for role, each in rules.items() if any(set(rule["verbs"]) - {*namespace.VIEW} for rule in each)}
    assert changing == {"devops_engineer"}
    logs = {role for role, each in rules.items() if any("pods/log" in rule["resources"] for rule in each)}
    assert logs == {"data_engineer", "software_engineer", "ml_engineer", "devops_engineer"}


def test_people_are_known_by_their_address_or_their_account() -> None:
    members = [
        Member("ann", "ann@example.com", (), ("data_scientist",), {}),
        Member("bob", None, (), ("data_scientist", "devops_engineer"), {}),
        Member("eve", None, (), ("manager",), {}),
    ]

    found = namespace.subjects(members, "data_scientist", "oidc:")
    assert [each["name"] for each in found] == ["oidc:ann@example.com", "oidc:bob"]
    assert namespace.subjects(members, "ml_engineer", "") == []


def test_a_right_in_the_cluster_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="manage"):
        SlotRights.model_validate({"means": {"read": "See."}, "roles": {"manage": ["manager"]}})
