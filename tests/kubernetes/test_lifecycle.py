"""The life of objects: made, ready, left alone, changed, replaced, edited by hand and repaired, gone."""

from __future__ import annotations

from typing import Any

from pulumi import ResourceOptions
from pulumi_kubernetes.apps.v1 import Deployment
from pulumi_kubernetes.core.v1 import ConfigMap, Namespace, Service

from tests.kubernetes.world import World, messages, steps

LABELS = {"app": "web"}


def _program(world: World, image: str = "web:1", replicas: int = 2, text: str = "hello") -> Any:
    def program() -> None:
        space = Namespace("space", metadata={"name": world.namespace})
        inside = ResourceOptions(depends_on=[space])
        settings = ConfigMap("settings", metadata={"namespace": world.namespace}, data={"text": text}, opts=inside)
        web = Deployment(
            "web",
            metadata={"name": "web", "namespace": world.namespace},
            spec={
                "replicas": replicas,
                "selector": {"match_labels": LABELS},
                "template": {
                    "metadata": {"labels": LABELS},
                    "spec": {
                        "containers": [
                            {
                                "name": "web",
                                "image": image,
                                "env_from": [{"config_map_ref": {"name": settings.metadata["name"]}}],
                                "resources": {"requests": {"cpu": "1000m", "memory": "0.5Gi"}},
                            }
                        ]
                    },
                },
            },
            opts=inside,
        )
        Service(
            "entrance",
            metadata={"name": "web", "namespace": world.namespace},
            spec={"selector": LABELS, "ports": [{"port": 80, "target_port": 8080}]},
            opts=ResourceOptions(depends_on=[web]),
        )

    return program


def test_life(world: World) -> None:
    assert set(steps(world.preview(_program(world))).values()) == {"create"}
    made = world.up(_program(world))
    assert steps(made) == dict.fromkeys(("space", "settings", "web", "entrance"), "create")
    web = world.object("Deployment", "web", "apis/apps/v1")
    assert web["status"]["availableReplicas"] == 2

    assert steps(world.preview(_program(world))) == {}
    assert steps(world.up(_program(world))) == {}

    assert steps(world.up(_program(world, image="web:2", replicas=3))) == {"web": "update"}
    web = world.object("Deployment", "web", "apis/apps/v1")
    assert web["status"]["availableReplicas"] == web["status"]["updatedReplicas"] == 3

    assert steps(world.refresh()) == {}
    world.edit("Deployment", "web", {"spec": {"replicas": 1}}, "apis/apps/v1")
    assert steps(world.refresh()) == {"web": "update"}
    wanted = _program(world, image="web:2", replicas=3)
    assert 'spec.replicas: conflict with "hand"' in messages(world.preview(wanted))
    assert 'spec.replicas: conflict with "hand"' in messages(world.up(wanted))
    world.configure({"kubernetes:enablePatchForce": "true"})
    assert steps(world.up(wanted)) == {"web": "update"}
    assert world.object("Deployment", "web", "apis/apps/v1")["spec"]["replicas"] == 3
    assert steps(world.up(wanted)) == {}

    gone = world.destroy()
    assert set(steps(gone).values()) == {"delete"}
    assert world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}") is None
    assert world.resources() == {}
