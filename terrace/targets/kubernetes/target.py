"""Realises workloads in the cluster, a target for each slot."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import pulumi

from components.audit import AuditSpec
from components.audit.programs.audit_log.tokens import token
from components.programs import lock_version
from terrace.certificates import CertificateAuthority
from terrace.images.own import BIN
from terrace.targets.base import Target
from terrace.targets.kubernetes.announced import ROUTE_TEXTS, each_pods_name, scrape_jobs_text, scrape_text
from terrace.targets.kubernetes.content import Content, content_of, pod_filler
from terrace.targets.kubernetes.network import Calls
from terrace.targets.kubernetes.nodes import Nodes
from terrace.targets.kubernetes.pods import NAME, USER_ID, Pod, Visit
from terrace.workload import File, Port, Workload

if TYPE_CHECKING:
    from terrace.targets.kubernetes.cluster import Cluster

FILL = pod_filler(BIN)
VERSION_LABEL = "app.kubernetes.io/version"
COMPONENT_LABEL = "app.kubernetes.io/component"
NEVER = "0 0 31 2 *"
LONGEST_SECONDS = 12 * 3600  # what hangs would keep the next run from starting
KEPT_SECONDS = 7 * 24 * 3600  # how long an ended one can be looked at


class KubernetesTarget(Target):
    """A namespace of a cluster: each workload a pod, each process a container of it.

    Args:
        cluster: The cluster.
        slot: The slot whose workloads it realises.
    """

    name: ClassVar[str] = "kubernetes"

    def __init__(self, cluster: Cluster, slot: str) -> None:
        super().__init__(cluster.blueprint, cluster.facts)
        self.services = cluster.services
        self._cluster = cluster
        self._slot = slot

    def run(
        self,
        workload: Workload,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
        user_id: int = USER_ID,
    ) -> pulumi.Resource:
        """Keep ``workload`` running, as a StatefulSet where it has a volume and as a Deployment elsewhere.

        ``user_id`` is whom its processes run as: an image may know one user only.
        """
        self.workloads.append(workload)
        pod, made = self._pod(workload, parent, user_id)
        self._services(workload, parent)
        selector = {"matchLabels": {NAME: workload.name}}
        spec: dict[str, Any] = {"replicas": workload.replicas, "selector": selector, "template": pod.template()}
        if workload.volume_gb:
            kind = "StatefulSet"
            spec |= {"serviceName": workload.name, "volumeClaimTemplates": [self._claim(workload)]}
        else:
            kind = "Deployment"
            # The new pod takes over when it is ready.
            spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
        if workload.replicas > 1:
            self._keep_one(workload, parent)
        document = self._document("apps/v1", kind, workload.name, pod.labels, spec=spec)
        return self._cluster.declare(workload.name, document, parent, [*made, *after])

    def run_once(
        self,
        workload: Workload,
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource],
        to: Mapping[str, int],
        user_id: int = USER_ID,
    ) -> pulumi.Resource:
        """Run the one process of ``workload`` to its end, again whenever anything of it changes.

        It must be safe to repeat.

        Args:
            workload: What to run.
            parent: The component that it belongs to.
            after: Resources that must be complete before it starts.
            to: The ports that it connects to: service → port.
            user_id: Whom it runs as.
        """
        self._cluster.calls.append(Calls(workload.name, to, workload.outside))
        pod, made = self._pod(workload, parent, user_id)
        spec = {"backoffLimit": 10, "template": pod.job_template()}
        document = self._document("batch/v1", "Job", workload.name, pod.labels, spec=spec)
        return self._cluster.declare(workload.name, document, parent, [*made, *after], replaced=True)

    def run_on_schedule(
        self,
        workload: Workload,
        parent: pulumi.Resource,
        cron: str | None,
        after: Sequence[pulumi.Resource],
        to: Mapping[str, int],
        visit: Visit | None = None,
    ) -> pulumi.Resource:
        """Run the one process of ``workload`` to its end by a schedule, which starts no second one beside it.

        What fails is tried twice more; what is started by hand alone is not, since half of it may be done.

        Args:
            workload: What to run.
            parent: The component that it belongs to.
            cron: When, in UTC; None for by hand alone, by ``kubectl create job --from``.
            after: Resources that must be complete before its first run.
            to: The ports that it connects to: service → port.
            visit: Whose volume it has in the place of its own data.
        """
        self._cluster.calls.append(Calls(workload.name, to, workload.outside))
        pod, made = self._pod(workload, parent, USER_ID, visit)
        job = {
            "backoffLimit": 2 if cron else 0,
            "activeDeadlineSeconds": LONGEST_SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": pod.job_template("Never"),  # a failed pod stays, and its log with it
        }
        spec = {
            "schedule": cron or NEVER,
            "timeZone": "Etc/UTC",
            "suspend": cron is None,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": 3600,
            "jobTemplate": {"metadata": {"labels": pod.labels}, "spec": job},
        }
        document = self._document("batch/v1", "CronJob", workload.name, pod.labels, spec=spec)
        return self._cluster.declare(workload.name, document, parent, [*made, *after])

    @property
    def saved(self) -> tuple[Workload, ...]:
        """The workloads that were declared so far whose volume holds what can't be made anew."""
        return tuple(each for each in self._cluster.workloads if each.volume_gb and "." not in each.unsaved)

    def listed_services(self) -> list[dict[str, Any]]:
        """Return the services of all targets so far."""
        return self._cluster.listed()

    def host_of(self, service: str, /) -> str:
        """Return the name of the service in the cluster, by which no proxy is asked for it."""
        return f"{service}.{self._cluster.namespace}.svc"

    @property
    def peers(self) -> str:
        """Anywhere: no pod's address is known beforehand, and network policies say who comes at all."""
        return "*"

    def service_names(self, service: str) -> tuple[str, ...]:
        """Return the names that ``service`` has in the cluster, the whole one first."""
        inside = f"{service}.{self._cluster.namespace}"
        return (f"{inside}.svc", f"{inside}.svc.{self._cluster.domain}", inside, service)

    @property
    def authority(self) -> CertificateAuthority:
        """The environment's own certificate authority."""
        return self._cluster.authority

    @property
    def audit_port(self) -> int | None:
        """The audit log's port, for the gateway, which comes before it; None where there is no slot ``audit``."""
        spec = self.blueprint.slots.get("audit")
        return spec.port if isinstance(spec, AuditSpec) else None

    @property
    def audit_key(self) -> pulumi.Output[str]:
        """What makes the tokens that services show the audit log."""
        return self._cluster.audit_key

    def audit_token(self, source: str, /) -> pulumi.Output[str]:
        """Return what a service shows when it tells the audit log something."""
        return self.audit_key.apply(lambda key: token(key.encode(), source))

    def when_declared(self, make: Callable[[], pulumi.Input[str]]) -> pulumi.Output[str]:
        """Return what ``make`` returns once every workload of the platform is declared."""
        return self._cluster.when_declared(lambda _: make())

    def route_files(self, folder: str) -> tuple[File, ...]:
        """Return the gateway's files of all services' routes."""
        texts = {kind: self._cluster.when_declared(make) for kind, make in ROUTE_TEXTS.items()}
        return tuple(File(f"{folder}/services.{kind}", text) for kind, text in texts.items())

    def scrape_files(self, services: str, replicas: str) -> tuple[File, File]:
        """Return monitoring's files: of services of one pod, which it reads anew by itself, and of those of several."""
        jobs = partial(scrape_jobs_text, self.environment, self._cluster.namespace)
        return (
            File(services, self._cluster.when_declared(partial(scrape_text, self.environment)), live=True),
            File(replicas, self._cluster.when_declared(jobs)),
        )

    def _pod(
        self, workload: Workload, parent: pulumi.Resource, user_id: int, visit: Visit | None = None
    ) -> tuple[Pod, list[pulumi.Resource]]:
        """Return a workload's pod, and the objects that it names, declared."""
        content = content_of(
            workload, FILL, self._cluster.download_variables if workload.downloads else {}, self._cluster.checksum_key
        )
        labels = self._labels(workload)
        # A pod that has another's volume must get to the node of that one.
        slot = self._cluster.slot_of(visit.workload) if visit else self._slot
        nodes = Nodes.of(self.blueprint.spec.kubernetes, slot)
        made = [self._cluster.declare(*self._account(workload, labels), parent)]
        made += [self._cluster.declare(*each, parent) for each in self._contents(workload, content, labels)]
        return Pod(workload, content, FILL, labels, user_id, self._cluster.surroundings, nodes, visit), made

    def _labels(self, workload: Workload) -> dict[str, str]:
        lock, package = workload.artifact.lock, workload.artifact.package
        version = {VERSION_LABEL: lock_version(lock, package)} if lock and package else {}
        return {**self._cluster.labels, NAME: workload.name, COMPONENT_LABEL: self._slot, **version}

    def _account(self, workload: Workload, labels: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
        """Return the ServiceAccount: one for each workload, so that rights could be given to one alone."""
        document = self._document("v1", "ServiceAccount", workload.name, labels, automountServiceAccountToken=False)
        return f"{workload.name}-account", document

    def _contents(
        self, workload: Workload, content: Content, labels: Mapping[str, str]
    ) -> list[tuple[str, dict[str, Any]]]:
        found = []
        if content.plain:
            data = content.config_map()
            document = self._document("v1", "ConfigMap", workload.name, labels, data=data)
            found.append((f"{workload.name}-files", document))
        if content.secret or content.secrets:
            document = self._document("v1", "Secret", workload.name, labels, type="Opaque", data=content.secret_data())
            found.append((f"{workload.name}-secrets", document))
        return found

    def _services(self, workload: Workload, parent: pulumi.Resource) -> None:
        """Declare the Service of all ports, and one more of those that are reached from outside of the cluster."""
        if workload.ports:
            self._service(workload, "service", "ClusterIP", workload.ports, parent)
        public = [port for port in workload.ports if port.public]
        if public and (kind := self.blueprint.spec.kubernetes.entrance) != "ClusterIP":
            self._service(workload, "entrance", kind, public, parent)

    def _keep_one(self, workload: Workload, parent: pulumi.Resource) -> None:
        """Have nodes that are emptied leave all pods of a workload but one, and give each pod an address of its own."""
        name, labels, selector = workload.name, self._labels(workload), {NAME: workload.name}
        spec = {"maxUnavailable": 1, "selector": {"matchLabels": selector}}
        document = self._document("policy/v1", "PodDisruptionBudget", name, labels, spec=spec)
        self._cluster.declare(f"{name}-budget", document, parent)
        ports = [{"name": port.name, "protocol": "TCP", "port": port.number} for port in workload.ports]
        # Monitoring must see those that aren't ready, too.
        pods = {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": selector, "ports": ports}
        self._cluster.declare(
            f"{name}-pods", self._document("v1", "Service", each_pods_name(name), labels, spec=pods), parent
        )

    def _service(
        self, workload: Workload, role: str, kind: str, ports: Sequence[Port], parent: pulumi.Resource
    ) -> None:
        spec = {
            "type": kind,
            "selector": {NAME: workload.name},
            "ports": [
                {"name": port.name, "protocol": "TCP", "port": port.number, "targetPort": port.name} for port in ports
            ],
        }
        name = workload.name if role == "service" else f"{workload.name}-{role}"
        document = self._document("v1", "Service", name, self._labels(workload), spec=spec)
        self._cluster.declare(f"{workload.name}-{role}", document, parent)

    def _claim(self, workload: Workload) -> dict[str, Any]:
        """Return the volume's claim. The volume stays when the StatefulSet goes: what is in it is data."""
        storage_class = self.blueprint.spec.kubernetes.storage_class
        return {
            "metadata": {"name": "data", "labels": self._cluster.labels | {NAME: workload.name}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                **({"storageClassName": storage_class} if storage_class else {}),
                "resources": {"requests": {"storage": f"{workload.volume_gb}Gi"}},
            },
        }

    def _document(self, version: str, kind: str, name: str, labels: Mapping[str, str], **parts: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self._cluster.namespace, "labels": dict(labels)}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}
