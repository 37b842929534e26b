"""How the services in a cluster are, with the cluster played."""

from __future__ import annotations

from typing import Any

import pytest

from terrace import cluster_status, fleet
from terrace.engine.kubernetes.errors import ClusterError

READY = {"spec": {"replicas": 1}, "status": {"readyReplicas": 1}}
NOT_READY = {"spec": {"replicas": 1}, "status": {}}


def service(name: str, workload: str) -> dict[str, Any]:
    about = {"slot": "monitoring", "flavor": "x", "name": name, "url": "https://door/", "probe_port": 1}
    return {**about, "probe_url": f"http://{workload}:1/health"}


OUTPUTS = {
    "tier": 1.0,
    "target": "kubernetes",
    "cluster": {"namespace": "ml", "kubeconfig": "here", "context": None},
    "services": [service("eye", "eye"), service("alerts", "eye"), service("db", "db"), service("gone", "gone")],
}


def play(monkeypatch: pytest.MonkeyPatch, there: dict[tuple[str, str], Any]) -> list[str]:
    asked: list[str] = []

    class Played:
        def __init__(self, _connection: object) -> None:
            pass

        def find(self, obj: Any) -> Any:
            assert obj["metadata"]["namespace"] == "ml"
            asked.append(obj["metadata"]["name"])
            return there.get((obj["kind"], obj["metadata"]["name"]))

    monkeypatch.setattr(cluster_status, "connect", lambda settings: settings)
    monkeypatch.setattr(cluster_status, "Cluster", Played)
    monkeypatch.setattr(cluster_status, "reasons", lambda *_: ["[CrashLoopBackOff] back-off"])
    return asked


def test_a_service_is_healthy_when_a_pod_of_it_is_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = play(monkeypatch, {("StatefulSet", "eye"): READY, ("Deployment", "db"): NOT_READY})
    found = fleet.examine("case", OUTPUTS)

    assert [(each.name, each.healthy, each.detail) for each in found.services] == [
        ("eye", True, "1 of 1 pods ready"),
        ("alerts", True, "1 of 1 pods ready"),
        ("db", False, "0 of 1 pods ready; [CrashLoopBackOff] back-off"),
        ("gone", False, "ml has no workload of that name"),
    ]
    assert asked.count("eye") == 2, "a pod is asked once, whatever runs in it"
    assert (found.tier, found.target) == (1, "kubernetes")


def test_a_cluster_that_cannot_be_asked_has_nothing_healthy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_settings: Any) -> Any:
        raise ClusterError("the cluster doesn't answer", fix="look")

    monkeypatch.setattr(cluster_status, "connect", refuse)
    assert {each.detail for each in fleet.examine("case", OUTPUTS).services} == {"the cluster doesn't answer"}
