"""The plan of a platform on Kubernetes from tier 4 on: services of several pods."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.cluster import file_of, named, of, pods, with_a_person
from tests.components.recording import Recorded, blueprint, plan

SEVERAL = {"dvc", "feast", "gateway", "mlflow", "portal"}


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return plan(blueprint(4, tmp_path_factory.mktemp("stack"), target="kubernetes", edit=with_a_person))


def test_what_keeps_nothing_has_several_pods_on_different_nodes(objects: list[dict[str, Any]]) -> None:
    replicas = {each["metadata"]["name"]: each["spec"]["replicas"] for each in of(objects, "Deployment", "StatefulSet")}
    assert {name for name, count in replicas.items() if count > 1} == SEVERAL
    for name, template in pods(objects):
        apart = template["spec"].get("affinity", {}).get("podAntiAffinity", {})
        terms = [each["podAffinityTerm"] for each in apart.get("preferredDuringSchedulingIgnoredDuringExecution", [])]
        keys = [each["topologyKey"] for each in terms]
        assert keys == (["kubernetes.io/hostname", "topology.kubernetes.io/zone"] if name in SEVERAL else [])
        for each in terms:
            assert each["labelSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_a_budget_keeps_all_of_them_but_one(objects: list[dict[str, Any]]) -> None:
    budgets = {each["metadata"]["name"]: each["spec"] for each in of(objects, "PodDisruptionBudget")}
    assert budgets.keys() == SEVERAL
    for name, spec in budgets.items():
        assert spec["maxUnavailable"] == 1
        assert spec["selector"] == named(objects, "Deployment", name)["spec"]["selector"]


def test_monitoring_asks_each_pod(objects: list[dict[str, Any]]) -> None:
    jobs = json.loads(file_of(objects, "prometheus", "scrapes-of-pods.yml"))["scrape_configs"]
    asked = {}
    for job in jobs:
        (places,) = job["dns_sd_configs"]
        labels = {each["target_label"]: each["replacement"] for each in job["relabel_configs"]}
        asked[labels["service"], places["port"], job["metrics_path"]] = places["names"]
        service = named(objects, "Service", places["names"][0].partition(".")[0])["spec"]
        assert service["clusterIP"] == "None", "DNS says where each pod is"
        assert service["publishNotReadyAddresses"], "one that is ill would not be missed"
        assert places["port"] in [port["port"] for port in service["ports"]]
    assert {service for service, _, _ in asked} == SEVERAL
    assert asked["gateway", 15080, "/certificates"] == ["gateway-pods.platform-local.svc"]
    assert len(asked) == len(jobs) == len({job["job_name"] for job in jobs})
    others = json.loads(file_of(objects, "prometheus", "scrapes.json"))
    assert not {each["labels"]["service"] for each in others} & SEVERAL
