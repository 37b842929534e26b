"""A workload as a pod: the template that Deployments, StatefulSets, and Jobs have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from terrace.images import Images
from terrace.targets.kubernetes.content import CONFIG, DATA, Content, escaped
from terrace.targets.kubernetes.nodes import Nodes
from terrace.targets.places import Fill
from terrace.workload import Probe, Process, Workload

NAME = "app.kubernetes.io/name"
CHECKSUM = "checksum/config"
READ_ONLY_FROM_TIER = 4
USER_ID = 10001  # that of the platform's own images; upstream's run as anybody
TEMPORARY = "1Gi"
CPU = "50m"  # of a process at rest; more is taken where it is free, since a limit would slow down what is asked
ASKED_OF_LIMIT = 2  # a process asks for this part of the memory that it may take


@dataclass(frozen=True)
class Surroundings:
    """What pods must know of what they are in.

    Args:
        environment: The environment.
        tier: The platform's tier.
        images: Which image is where.
        labels: Labels of every object.
        authority: Name of the ConfigMap with the certificate of the environment's authority.
        pull_secret: Name of the Secret with the registry's account; None where none is needed.
    """

    environment: str
    tier: int
    images: Images
    labels: Mapping[str, str]
    authority: str
    pull_secret: str | None

    @property
    def authority_folder(self) -> str:
        """Where pods have that certificate, as hosts do."""
        return f"/etc/terrace/{self.environment}"


@dataclass(frozen=True)
class Visit:
    """Another workload's volume, which a pod that runs to its end has in the place of its own data.

    Args:
        workload: Whose volume it is.
        changes: Whether it is written to, while its own pod is gone. Else it's read, on the node of that pod: most
            volumes are on one node at a time.
    """

    workload: str
    changes: bool = False

    @property
    def volume(self) -> dict[str, Any]:
        """The pod's volume."""
        return {"name": "data", "persistentVolumeClaim": {"claimName": claim_name(self.workload)}}

    @property
    def affinity(self) -> dict[str, Any]:
        """Where the pod may be: with the other pod, or nowhere where that still is."""
        other = {"labelSelector": {"matchLabels": {NAME: self.workload}}, "topologyKey": "kubernetes.io/hostname"}
        kind = "podAntiAffinity" if self.changes else "podAffinity"
        return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [other]}}


def claim_name(workload: str) -> str:
    """Return the name of the claim of a StatefulSet's one volume, as its controller makes it."""
    return f"data-{workload}-0"


@dataclass(frozen=True)
class Pod:
    """A workload with all that its pod is made of.

    ``user_id`` is whom its processes run as, ``nodes`` where it may be, and ``visit`` whose volume it has instead of
    its own.
    """

    workload: Workload
    content: Content
    fill: Fill
    labels: Mapping[str, str]
    user_id: int
    surroundings: Surroundings
    nodes: Nodes
    visit: Visit | None = None

    def template(self) -> dict[str, Any]:
        """Return the pod template of a service, whose data goes with the pod unless it has a volume."""
        return self._template(
            {
                **(self._apart() if self.workload.replicas > 1 else {}),
                "initContainers": self._setup_steps(),
                "containers": self._processes(),
                "restartPolicy": "Always",
                "terminationGracePeriodSeconds": max(process.stop_seconds for process in self.workload.processes) + 10,
            },
            [] if self.workload.volume_gb else [{"name": "data", "emptyDir": {}}],
        )

    def _apart(self) -> dict[str, Any]:
        """Return what puts pods of one workload on different nodes, and in different zones, where there are any.

        Not spread constraints: where nodes have no zone, the scheduler would leave out that of nodes, too.
        """
        mine = {"matchLabels": {NAME: self.workload.name}}
        weights = {"kubernetes.io/hostname": 100, "topology.kubernetes.io/zone": 50}
        preferred = [
            {"weight": weight, "podAffinityTerm": {"labelSelector": mine, "topologyKey": key}}
            for key, weight in weights.items()
        ]
        return {"affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}}

    def job_template(self, restart: str = "OnFailure") -> dict[str, Any]:
        """Return the pod template of what runs to its end: setup steps, and its one process after them."""
        (process,) = self.workload.processes
        container = self._container(process.name, process.image, process.command, process)
        return self._template(
            {
                "initContainers": self._setup_steps(),
                "containers": [container],
                "restartPolicy": restart,
                "affinity": self.visit.affinity if self.visit else {},
            },
            [self.visit.volume if self.visit else {"name": "data", "emptyDir": {}}],
        )

    def _template(self, spec: Mapping[str, Any], volumes: list[dict[str, Any]]) -> dict[str, Any]:
        secret = self.surroundings.pull_secret
        whole = {
            "serviceAccountName": self.workload.name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,  # its variables would be taken for settings, as PROMETHEUS_PORT
            "shareProcessNamespace": True,  # as on a host: some send signals, or look who is there
            **({"imagePullSecrets": [{"name": secret}]} if secret else {}),
            "securityContext": _pod_security(self.user_id),
            **self.nodes.placement(),
            **{name: value for name, value in spec.items() if value},
            "volumes": [
                *([self.content.volume(self.workload.name)] if self._has_files else []),
                {"name": "authority", "configMap": {"name": self.surroundings.authority}},
                {"name": "tmp", "emptyDir": {"sizeLimit": TEMPORARY}},
                *volumes,
            ],
        }
        annotations = {CHECKSUM: self.content.checksum}
        return {"metadata": {"labels": dict(self.labels), "annotations": annotations}, "spec": whole}

    @property
    def _only_reads(self) -> bool:
        return self.visit is not None and not self.visit.changes

    @property
    def _has_files(self) -> bool:
        return bool(self.content.plain or self.content.secret)

    def _processes(self) -> list[dict[str, Any]]:
        first, *others = self.workload.processes
        shown = self._container(first.name, first.image, first.command, first)
        if self.workload.ports:
            shown["ports"] = [{"name": port.name, "containerPort": port.number} for port in self.workload.ports]
        if self.workload.probe:
            shown |= _probes(self.workload.probe)
        return [shown, *(self._container(each.name, each.image, each.command, each) for each in others)]

    def _setup_steps(self) -> list[dict[str, Any]]:
        """Return the init containers; each may take what the largest process may, since none of them runs yet."""
        largest = max(self.workload.processes, key=lambda process: process.memory_mb)
        steps = self.workload.setup
        return [self._container(f"setup-{step.name}", step.image, step.command, largest) for step in steps]

    def _container(self, name: str, image: str, command: Iterable[str], size: Process) -> dict[str, Any]:
        devices = self.nodes.limits(size) if name == size.name else {}  # a setup step computes nothing
        images, memory = self.surroundings.images, size.memory_mb * size.copies
        asked = size.rests_mb * size.copies or memory // ASKED_OF_LIMIT
        mounts = [
            *([{"name": "config", "mountPath": CONFIG, "readOnly": True}] if self._has_files else []),
            {"name": "authority", "mountPath": self.surroundings.authority_folder, "readOnly": True},
            {"name": "data", "mountPath": DATA, **({"readOnly": True} if self._only_reads else {})},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  # the pod's own
        ]
        return {
            "name": name,
            "image": images.upstream(image) if image else images.reference(self.workload.artifact),
            "imagePullPolicy": "IfNotPresent",  # a name stands for one content
            "command": [escaped(self.fill(word)) for word in command],
            "workingDir": DATA,
            "env": [
                {"name": "USER", "value": "terrace"},  # the image knows no name of who runs it
                {"name": "LISTEN", "value": str(self.fill("$(LISTEN)"))},
                *self.content.variables(self.workload.name),
            ],
            "resources": {
                "requests": {"cpu": CPU, "memory": f"{asked}Mi"},
                "limits": {"memory": f"{memory}Mi", **devices},
            },
            "securityContext": _security(read_only=self.surroundings.tier >= READ_ONLY_FROM_TIER),
            "volumeMounts": mounts,
        }


def _pod_security(user_id: int) -> dict[str, Any]:
    return {
        "runAsNonRoot": True,
        "runAsUser": user_id,
        "runAsGroup": user_id,
        "fsGroup": user_id,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _security(*, read_only: bool) -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        **({"readOnlyRootFilesystem": True} if read_only else {}),
    }


def _probes(probe: Probe) -> dict[str, Any]:
    """Return probes of three kinds: it has come up, it takes requests, it hasn't got stuck.

    Raises:
        ValueError: It would be healthy by an answer that the kubelet takes for a failure (a defect of the flavor).
    """
    if not 200 <= probe.status < 400:
        raise ValueError(f"on Kubernetes a service can't be healthy by status {probe.status}")
    begun, request = (
        {"httpGet": {"path": path, "port": probe.port}} for path in (probe.path, probe.alive or probe.path)
    )
    return {
        "startupProbe": {**begun, "periodSeconds": 2, "failureThreshold": max(1, probe.timeout_seconds // 2)},
        "readinessProbe": {**request, "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 3},
        "livenessProbe": {**request, "periodSeconds": 20, "timeoutSeconds": 10, "failureThreshold": 6},
    }
