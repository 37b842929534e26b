"""The cluster as a platform sees it: one namespace of its own, with what guards it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes

from terrace import edges
from terrace.certificates import CertificateAuthority
from terrace.edges import Node
from terrace.facts import project_facts
from terrace.images import Images
from terrace.password import Password
from terrace.rights import RightsTable
from terrace.spec import SecretReference
from terrace.targets.base import Service, Targets
from terrace.targets.given import network_address
from terrace.targets.kubernetes import namespace as own
from terrace.targets.kubernetes import network, teams
from terrace.targets.kubernetes.network import Calls
from terrace.targets.kubernetes.objects import declare
from terrace.targets.kubernetes.pods import Surroundings
from terrace.targets.kubernetes.target import KubernetesTarget

if TYPE_CHECKING:
    from terrace.resolve import Blueprint
    from terrace.workload import Workload

AUTHORITY = "authority"
DOMAIN = "cluster.local"
PYPI = "https://pypi.org"
RBAC = "rbac.authorization.k8s.io/v1"
INSIDE = "localhost,127.0.0.1,.svc,.cluster.local"  # what is asked without the proxy


class Cluster(Targets):
    """A namespace of a cluster.

    Attributes:
        namespace: Its name.
        authority: The environment's own certificate authority.
        services: The services that the targets were asked to run.
        calls: What runs once, and what it connects to.
        checksum_key: Makes checksums of what may be secret.
    """

    domain = DOMAIN

    def __init__(self, blueprint: Blueprint, parent: pulumi.Resource) -> None:
        self.blueprint = blueprint
        self.facts = project_facts(blueprint)
        self.namespace = namespace_of(blueprint)
        self.services: list[Service] = []
        self.calls: list[Calls] = []
        self._targets: dict[str, KubernetesTarget] = {}
        self._parent = parent
        self._provider = self._connect()
        self._namespace: pulumi.Resource | None = None
        self._namespace = self._declare_namespace()
        self.authority = CertificateAuthority("authority", f"Terrace {blueprint.environment}", parent)
        self.checksum_key = Password("checksum-key", parent).value
        self._declared: pulumi.Output[bool]
        self._resolve: Callable[[pulumi.Output[bool]], None]
        self._declared, self._resolve = pulumi.deferred_output()
        self._declare_own()

    def of(self, slot: str) -> KubernetesTarget:
        """Return the target of ``slot``."""
        return self._targets.setdefault(slot, KubernetesTarget(self, slot))

    def declare(
        self,
        name: str,
        document: Mapping[str, Any],
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
        *,
        replaced: bool = False,
    ) -> pulumi.Resource:
        """Declare an object of the namespace.

        Args:
            name: The resource's name.
            document: The object as the API has it.
            parent: The component that it belongs to.
            after: Resources that must be complete before.
            replaced: Whether a change removes it and makes it anew.
        """
        opts = pulumi.ResourceOptions(
            parent=parent,
            provider=self._provider,
            depends_on=[*([self._namespace] if self._namespace else []), *after],
            delete_before_replace=replaced or None,
            replace_on_changes=["spec"] if replaced else None,
        )
        return declare(name, document, opts)

    def when_declared(self, make: Callable[[list[Workload]], pulumi.Input[str]]) -> pulumi.Output[str]:
        """Return what ``make`` returns of all workloads, once they are declared."""
        return self._declared.apply(lambda _: make(self.workloads))

    def close(self, nodes: Mapping[str, Node] | Exception) -> None:
        """Declare what follows from all workloads: who reaches whom, and how much there may be."""
        workloads = self.workloads
        self._resolve(pulumi.Output.from_input("").apply(lambda _: _or_raise(nodes)))
        if isinstance(nodes, Exception):
            return
        found = network.policies(workloads, edges.listeners(nodes), self.calls, self._outside())
        for name, spec in found.items():
            document = self._document("networking.k8s.io/v1", "NetworkPolicy", name, spec=spec)
            self.declare(f"{name}-edges", document, self._parent)
        public = [(workload, port) for workload in workloads for port in workload.ports if port.public]
        entrances = len(public) if self.blueprint.spec.kubernetes.entrance != "ClusterIP" else 0
        quota = self._document("v1", "ResourceQuota", "platform", spec=own.quota(entrances))
        self.declare("quota", quota, self._parent)
        self._declare_teams([(workload.name, port.number) for workload, port in public])

    def listed(self) -> list[dict[str, Any]]:
        """Return the services as stack outputs."""
        return [{name: value for name, value in vars(each).items() if name != "host"} for each in self.services]

    def exports(self) -> Mapping[str, pulumi.Input[Any]]:
        """Return how the namespace is reached, and the certificate that clients trust."""
        spec = self.blueprint.spec.kubernetes
        where = {"namespace": self.namespace, "kubeconfig": spec.kubeconfig, "context": spec.context}
        return {"cluster": where, "certificate": self.authority.certificate}

    @property
    def workloads(self) -> list[Workload]:
        """Everything that was declared so far, but for what runs once."""
        return [workload for target in self._targets.values() for workload in target.workloads]

    def slot_of(self, name: str) -> str:
        """Return the slot of the workload that is called ``name``, and was declared."""
        return next(slot for slot, target in self._targets.items() if name in [each.name for each in target.workloads])

    @property
    def labels(self) -> dict[str, str]:
        """Labels of every object, as Kubernetes recommends them."""
        return {
            "app.kubernetes.io/instance": self.blueprint.environment,
            "app.kubernetes.io/part-of": self.blueprint.name,
            "app.kubernetes.io/managed-by": "terrace",
        }

    @cached_property
    def surroundings(self) -> Surroundings:
        """What pods must know of what they are in."""
        blueprint = self.blueprint
        images = Images.load(blueprint.network.image_registry)
        secret = blueprint.spec.kubernetes.pull_secret
        return Surroundings(blueprint.environment, blueprint.tier, images, self.labels, AUTHORITY, secret)

    @cached_property
    def audit_key(self) -> pulumi.Output[str]:
        """What makes the tokens that services show the audit log."""
        return Password("audit-sources", self._parent).value

    @cached_property
    def download_variables(self) -> dict[str, pulumi.Input[str]]:
        """What is told to what installs packages: where they come from."""
        index, proxy = (network_address(self.blueprint, name) for name in ("package_index", "proxy"))
        variables: dict[str, pulumi.Input[str]] = {"UV_SYSTEM_CERTS": "true"}
        if index:
            variables["UV_DEFAULT_INDEX"] = index
        if proxy:
            variables |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy, "NO_PROXY": INSIDE}
        return variables

    def _outside(self) -> network.Outside:
        written = self.blueprint.network
        addresses = [written.package_index or PYPI, *([written.proxy] if written.proxy else [])]
        known = (None if isinstance(each, SecretReference) else each for each in addresses)
        return network.Outside(self.blueprint.spec.kubernetes.outside_networks, tuple(known))

    def _connect(self) -> pulumi.ProviderResource:
        spec = self.blueprint.spec.kubernetes
        return pulumi_kubernetes.Provider(
            "cluster",
            kubeconfig=spec.kubeconfig,
            context=spec.context,
            namespace=self.namespace,
            # Everything there is the platform's own: what an earlier `up` made, or a destroy has left, is taken over.
            upsert_existing_objects=True,
            enable_patch_force=True,  # what somebody has edited by hand is repaired
            # Pods name them, and carry a checksum of their content.
            enable_config_map_mutable=True,
            enable_secret_mutable=True,
            opts=pulumi.ResourceOptions(parent=self._parent),
        )

    def _declare_namespace(self) -> pulumi.Resource:
        """Declare the namespace, which a destroy leaves: it holds the volumes, which are data."""
        labels = {**self.labels, **own.pod_security(self.blueprint.tier)}
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        opts = pulumi.ResourceOptions(parent=self._parent, provider=self._provider, retain_on_delete=True)
        return declare("namespace", document, opts)

    def _declare_own(self) -> None:
        trusted = self._document("v1", "ConfigMap", AUTHORITY, data={"ca.crt": self.authority.certificate})
        self.declare("authority-certificate", trusted, self._parent)
        self.declare("limits", self._document("v1", "LimitRange", "platform", spec=own.limits()), self._parent)
        for role, rules in own.roles(RightsTable.load()).items():
            name = role.replace("_", "-")
            self.declare(f"{name}-role", self._document(RBAC, "Role", name, rules=rules), self._parent)
            people = own.subjects(self.blueprint.members, role, self.blueprint.spec.kubernetes.user_prefix)
            if people:
                reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
                binding = self._document(RBAC, "RoleBinding", name, roleRef=reference, subjects=people)
                self.declare(f"{name}-people", binding, self._parent)

    def _declare_teams(self, entrances: list[tuple[str, int]]) -> None:
        """Declare the namespaces of teams. What is guarded there is theirs, so it stays with its guards."""
        spec = self.blueprint.spec.kubernetes
        around = teams.Surroundings(
            self.namespace,
            self.blueprint.tier,
            self.labels,
            self.authority.certificate,
            entrances,
            self._outside(),
            spec.user_prefix,
            spec.accelerator,
        )
        for name, space in spec.teams.items():
            team = teams.Team(name, space, self.blueprint.members, around)
            of_team = pulumi.ComponentResource(
                "terrace:platform:Team", name, None, pulumi.ResourceOptions(parent=self._parent)
            )
            kept = pulumi.ResourceOptions(parent=of_team, provider=self._provider, retain_on_delete=True)
            made = declare(f"team-{name}", team.its_namespace(), kept)
            within = pulumi.ResourceOptions(parent=of_team, provider=self._provider, depends_on=[made])
            kept = pulumi.ResourceOptions.merge(kept, within)
            guards = [declare(f"team-{name}-{part}", document, kept) for part, document in team.guards().items()]
            # Nobody is let in before it is guarded.
            within = pulumi.ResourceOptions.merge(within, pulumi.ResourceOptions(depends_on=guards))
            for part, document in team.contents().items():
                declare(f"team-{name}-{part}", document, within)

    def _document(self, version: str, kind: str, name: str, **parts: Any) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self.namespace, "labels": self.labels}
        return {"apiVersion": version, "kind": kind, "metadata": metadata, **parts}


def namespace_of(blueprint: Blueprint) -> str:
    """Return the name of the namespace that a platform has in a cluster."""
    return blueprint.spec.kubernetes.namespace or f"{blueprint.name}-{blueprint.environment}"


def _or_raise(nodes: object) -> bool:
    """Return True, once all is declared; what waits for that fails with what kept it from being so."""
    if isinstance(nodes, Exception):
        raise nodes
    return True
