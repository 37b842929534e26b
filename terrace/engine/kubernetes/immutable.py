"""Which fields can't be changed in place, so that a change of them replaces the object.

Kinds and fields as pulumi-kubernetes 4.34 has them (provider/pkg/provider/diff.go). ``*`` stands for every item of
a list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from terrace.engine.kubernetes.kinds import Kind
from terrace.engine.kubernetes.objects import Object, is_secret
from terrace.engine.kubernetes.settings import Settings
from terrace.engine.paths import Path, parse

_IDENTITY: Final = ("metadata.name", "metadata.namespace")
_SELECTOR: Final = ("spec.selector",)
_VOLUME_SOURCES: Final = (
    "awsElasticBlockStore azureDisk azureFile cephfs cinder csi fc flexVolume flocker gcePersistentDisk glusterfs "
    "hostPath iscsi local nfs photonPersistentDisk portworxVolume quobyte rbd scaleIO storageos vsphereVolume"
)
_POD: Final = (
    "affinity automountServiceAccountToken dnsConfig dnsPolicy enableServiceLinks hostAliases hostIPC hostNetwork "
    "hostPID hostname imagePullSecrets nodeName nodeSelector overhead preemptionPolicy priority priorityClassName "
    "readinessGates restartPolicy runtimeClassName schedulerName securityContext serviceAccount serviceAccountName "
    "shareProcessNamespace subdomain terminationGracePeriodSeconds volumes"
)
_CONTAINER: Final = (
    "args command env image imagePullPolicy lifecycle livenessProbe ports readinessProbe resources securityContext "
    "stdin stdinOnce terminationMessagePath terminationMessagePolicy tty volumeDevices volumeMounts workingDir"
)


def _spec(names: str, prefix: str = "spec.") -> tuple[str, ...]:
    return tuple(prefix + name for name in names.split())


_FIELDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("apps", "DaemonSet"): _SELECTOR,
    ("apps", "Deployment"): _SELECTOR,
    ("apps", "StatefulSet"): _spec(
        "podManagementPolicy revisionHistoryLimit selector serviceName volumeClaimTemplates"
    ),
    ("", "PersistentVolume"): _spec(_VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): _spec("accessModes selector storageClassName volumeName"),
    ("", "Pod"): (
        *_spec(_POD),
        *_spec(_CONTAINER, "spec.containers[*]."),
        *_spec(_CONTAINER, "spec.initContainers[*]."),
    ),
    ("", "ResourceQuota"): ("spec.scopes",),
    ("", "Secret"): ("type",),
    ("", "Service"): ("spec.clusterIP",),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): ("roleRef",),
    ("rbac.authorization.k8s.io", "RoleBinding"): ("roleRef",),
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
    ("batch", "Job"): _spec("completions parallelism selector template"),
}


def identity() -> tuple[Path, ...]:
    """What makes another object of any object if it is changed."""
    return tuple(parse(name) for name in _IDENTITY)


def fields_of(obj: Object, kind: Kind, settings: Settings) -> tuple[Path, ...]:
    """The immutable fields of an object."""
    fixed = obj.get("immutable") is True
    if is_secret(obj) and (fixed or not settings.mutable_secrets):
        names: tuple[str, ...] = ("type", "stringData", "data")
    elif (kind.group, kind.name) == ("", "ConfigMap") and (fixed or not settings.mutable_config_maps):
        names = ("binaryData", "data")
    else:
        names = _FIELDS.get((kind.group, kind.name), ())
    return tuple(parse(name) for name in (*_IDENTITY, *names))


def touches(fields: tuple[Path, ...], path: Path, value: Any) -> bool:
    """Whether a change at ``path``, to ``value``, changes one of the fields."""
    return any(_touches(field, path, value) for field in fields)


def _touches(field: Path, path: Path, value: Any) -> bool:
    for part, its in zip(field, path, strict=False):
        if part not in ("*", its):
            return False
    return any(True for _ in _below(value, field[len(path) :]))


def _below(value: Any, rest: Path) -> Iterator[Any]:
    """Everything in ``value`` at the path ``rest``."""
    if not rest:
        yield value
    elif rest[0] == "*" and isinstance(value, list):
        for item in value:
            yield from _below(item, rest[1:])
    elif isinstance(value, dict) and rest[0] in value:
        yield from _below(value[rest[0]], rest[1:])
