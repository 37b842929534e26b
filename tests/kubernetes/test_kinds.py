"""Each kind gets ready, stays as it is, is changed or replaced as Pulumi's provider does it, and goes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pulumi import ResourceOptions
from pulumi_kubernetes.apps.v1 import StatefulSet
from pulumi_kubernetes.batch.v1 import Job
from pulumi_kubernetes.core.v1 import Namespace, PersistentVolume, Pod, Service
from pulumi_kubernetes.networking.v1 import Ingress

from tests.kubernetes.cases import CASES, everything, pod_set, pods, volumes
from tests.kubernetes.world import World, decisions, messages, steps


def test_all_kinds(world: World) -> None:
    """All at once, so that their waiting goes on side by side."""
    made = steps(world.up(everything(world.namespace, 0)))
    assert set(made.values()) == {"create"}
    assert steps(world.preview(everything(world.namespace, 0))) == {}
    assert steps(world.refresh()) == {}
    assert steps(world.up(everything(world.namespace, 0))) == {}

    expected = {name: what for name, (*_, what) in CASES.items()}
    planned = world.preview(everything(world.namespace, 1))
    assert {name: op for name, op in decisions(planned).items() if name in CASES} == expected
    changed = world.up(everything(world.namespace, 1))
    assert {name: op for name, op in decisions(changed).items() if name in CASES} == expected
    assert steps(world.preview(everything(world.namespace, 1))) == {}

    assert set(steps(world.destroy()).values()) == {"delete"}
    assert world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}") is None


def test_a_stateful_set_keeps_its_claims(world: World) -> None:
    """A changed claim template replaces the set; what its pods have stored stays."""

    def program(size: str) -> Callable[[], None]:
        def make() -> None:
            space = Namespace("space", metadata={"name": world.namespace})
            StatefulSet(
                "db",
                metadata={"name": "db", "namespace": world.namespace},
                spec=pod_set(service_name="db", volume_claim_templates=volumes(size)),
                opts=ResourceOptions(depends_on=[space], custom_timeouts={"create": "20s"}),
            )
            for number in range(1):
                PersistentVolume(
                    f"disk-{number}",
                    metadata={"name": f"{world.namespace}-{number}"},
                    spec={
                        "capacity": {"storage": "2Gi"},
                        "access_modes": ["ReadWriteOnce"],
                        "storage_class_name": "later",
                        "host_path": {"path": "/nowhere"},
                        "persistent_volume_reclaim_policy": "Retain",
                    },
                )

        return make

    assert steps(world.up(program("1Gi")))["db"] == "create"
    claim = world.object("PersistentVolumeClaim", "data-db-0")
    assert claim["status"]["phase"] == "Bound"
    assert decisions(world.up(program("1Gi"))) == {}
    assert decisions(world.preview(program("2Gi"))) == {"db": "replace"}


def test_an_ingress_gets_its_address(world: World) -> None:
    def program() -> None:
        space = Namespace("space", metadata={"name": world.namespace})
        path = {"path": "/", "path_type": "Prefix", "backend": {"service": {"name": "web", "port": {"number": 80}}}}
        inside = {"namespace": world.namespace, "name": "web"}
        web = Service("web", metadata=inside, spec={"ports": [{"port": 80}]}, opts=ResourceOptions(depends_on=[space]))
        Ingress(
            "entrance",
            metadata=inside,
            spec={"rules": [{"host": "web.example.com", "http": {"paths": [path]}}]},
            opts=ResourceOptions(depends_on=[web], custom_timeouts={"create": "5s"}),
        )

    assert "it was given no address; is there an ingress controller" in messages(world.up(program))
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    path = world.path("Ingress", "web", "apis/networking.k8s.io/v1")
    world.plane.request("PATCH", f"{path}/status", status, content="application/merge-patch+json")
    assert steps(world.up(program)) == {"entrance": "update"}
    assert steps(world.up(program)) == {}


@pytest.mark.parametrize("kind", ["Pod", "Job"])
def test_names_are_given(world: World, kind: str) -> None:
    class_ = {"Pod": Pod, "Job": Job}[kind]
    spec: dict[str, Any] = {**pods()["spec"], "restart_policy": "Never"}

    def program() -> None:
        space = Namespace("space", metadata={"name": world.namespace})
        class_(
            "work",
            metadata={"namespace": space.metadata["name"]},
            spec={"template": {"spec": spec}} if kind == "Job" else spec,
        )

    assert steps(world.up(program))["work"] == "create"
    name = world.resources()["work"].id
    assert name.startswith(f"{world.namespace}/work-")
    assert steps(world.up(program)) == {}
    assert world.resources()["work"].id == name
