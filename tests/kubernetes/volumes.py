"""Volumes of a control plane whose nodes are played: a storage class that has some already."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.kubernetes.control_plane import ControlPlane

COUNT = 16  # enough for the services of every tier
CLASSES, VOLUMES = "/apis/storage.k8s.io/v1/storageclasses", "/api/v1/persistentvolumes"


@contextlib.contextmanager
def storage_class(plane: ControlPlane, name: str) -> Iterator[str]:
    """Have a storage class ``name`` with volumes for one platform, and yield its name."""
    made = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
    plane.request("POST", CLASSES, made | {"provisioner": "kubernetes.io/no-provisioner"})
    volumes = [f"{name}-{number}" for number in range(COUNT)]
    for volume in volumes:
        spec = {
            "capacity": {"storage": "200Gi"},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": name,
            "hostPath": {"path": f"/volumes/{volume}"},
        }
        document = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": spec}
        plane.request("POST", VOLUMES, document)
    try:
        yield name
    finally:
        for volume in volumes:
            plane.request("DELETE", f"{VOLUMES}/{volume}")
        plane.request("DELETE", f"{CLASSES}/{name}")
