"""A blueprint as Pulumi resources: one root component, one component per slot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from components.base import Account, Inputs, PersonAccount, SlotOutputs
from terrace import graph
from terrace.catalog import Catalog
from terrace.edges import Node
from terrace.password import Password
from terrace.targets.hosts import Hosts

if TYPE_CHECKING:
    from terrace.provenance import Source
    from terrace.resolve import Blueprint
    from terrace.targets.base import Targets


class Platform(pulumi.ComponentResource):
    """Everything that a blueprint asks for.

    Attributes:
        endpoints: Addresses by service name.
        connection: Environment variables that connect a project to the platform; a secret.
        credentials: Accounts of people by service name; a secret.
        public_keys: What other machines' ``authorized_keys`` need, by service name; empty where nothing does.
        services: What runs, with where its health can be seen.
        people: Passwords of the team's people by account name; a secret.
        targets: What it runs on.
    """

    def __init__(self, blueprint: Blueprint, catalog: Catalog) -> None:
        super().__init__("terrace:platform:Platform", blueprint.name)
        self.targets = _targets(blueprint, catalog, self)
        self._people = tuple(
            PersonAccount(member.name, Password(f"person-{member.name}", self).value, member)
            for member in blueprint.members
            if member.rights
        )
        self._slots: dict[str, SlotOutputs] = {}
        self._nodes: dict[str, Node] = {}
        self._declare(blueprint, catalog)
        self.endpoints = self._merged("endpoints")
        self.connection = pulumi.Output.secret({**self.targets.facts, **self._merged("connection")})
        self.credentials = pulumi.Output.secret(self._merged("credentials"))
        self.public_keys = self._merged("public_keys")
        self.people = pulumi.Output.secret({person.user: person.password for person in self._people})
        self.services = self.targets.listed()
        self.register_outputs({"endpoints": self.endpoints})

    def _declare(self, blueprint: Blueprint, catalog: Catalog) -> None:
        """Build every slot, then tell the target the edges between them, or why there will be none."""
        try:
            for slot in graph.order(blueprint, catalog):
                self._slots[slot] = self._build(slot, blueprint, catalog)
        except Exception as error:
            self.targets.close(error)  # what waits for the edges would wait forever
            raise
        self.targets.close(self._nodes)

    def _build(self, slot: str, blueprint: Blueprint, catalog: Catalog) -> SlotOutputs:
        spec = blueprint.slots[slot]
        flavor = catalog.component(slot, spec.flavor)
        wanted = (*flavor.requires, *flavor.uses)
        needed = {name: outputs for name, outputs in self._slots.items() if name in wanted}
        inputs = Inputs(needed, self._people, blueprint.owners)
        target = self.targets.of(slot)
        workloads, services = len(target.workloads), len(target.services)
        outputs: SlotOutputs = flavor(spec, target, inputs, pulumi.ResourceOptions(parent=self)).outputs
        self._nodes[slot] = Node(
            wanted if flavor.connects is None else flavor.connects,
            outputs.ports(),
            tuple(target.workloads[workloads:]),
            tuple(service.probe_port for service in target.services[services:]),
        )
        return outputs

    def _merged(self, part: str) -> dict[str, Any]:
        return {
            name: vars(value) if isinstance(value, Account) else value
            for outputs in self._slots.values()
            for name, value in getattr(outputs, part)().items()
        }


def build(blueprint: Blueprint, catalog: Catalog | None = None, source: Source | None = None) -> Platform:
    """Declare the platform and export its stack outputs.

    Outputs: ``tier`` and ``target`` (plain), ``flavors`` {slot: flavor}, ``source`` {commit, dirty, digest} where it is
    given, ``endpoints`` {name: URL}, ``services`` [{slot, flavor, name, url, probe_url, probe_port}], and the secrets
    ``connection`` {variable: value}, ``credentials`` {name: {user, password}}, and ``people`` {name: password}.
    Where other machines have to let a service in, ``public_keys`` {name: line of ``authorized_keys``}.
    On hosts also the secret ``inventory`` (Ansible's YAML inventory as data). Where there are hosts beside this
    machine, also ``hosts`` (how each is reached; keys stay in their files) and ``certificate`` (that of the
    environment's authority), and each service has a ``host``. On Kubernetes also ``certificate`` and ``cluster``
    {namespace, kubeconfig, context}.
    """
    platform = Platform(blueprint, catalog or Catalog())
    pulumi.export("tier", blueprint.tier)
    pulumi.export("target", blueprint.target)
    pulumi.export("flavors", {slot: spec.flavor for slot, spec in blueprint.slots.items()})
    if source:
        pulumi.export("source", source.document())
    pulumi.export("endpoints", platform.endpoints)
    pulumi.export("services", platform.services)
    pulumi.export("connection", platform.connection)
    pulumi.export("credentials", platform.credentials)
    pulumi.export("people", platform.people)
    if platform.public_keys:
        pulumi.export("public_keys", platform.public_keys)
    for name, value in platform.targets.exports().items():
        pulumi.export(name, value)
    return platform


def _targets(blueprint: Blueprint, catalog: Catalog, parent: pulumi.Resource) -> Targets:
    if blueprint.target == "kubernetes":
        from terrace.targets.kubernetes.cluster import Cluster  # the provider's SDK takes a second that hosts needn't

        return Cluster(blueprint, parent)
    return Hosts(blueprint, catalog, parent)
