"""The hosts of a platform: a target for each, with links between them where there are several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pulumi

from components import link as links
from terrace import backup, edges, placement, status, upgrades
from terrace.certificates import CertificateAuthority
from terrace.edges import Node
from terrace.facts import project_facts
from terrace.host_ansible import literal
from terrace.targets.base import Service, Targets
from terrace.targets.host import HostTarget
from terrace.whole import whole

if TYPE_CHECKING:
    from terrace.catalog import Catalog
    from terrace.resolve import Blueprint
    from terrace.workload import Workload


class Hosts(Targets):
    """All hosts of a platform.

    Attributes:
        authority: The environment's own certificate authority.
        services: The services that the targets were asked to run.
        facts: What every project is told of the platform, as environment variables.
        audit_sources: The services that may tell the audit log something.
    """

    def __init__(self, blueprint: Blueprint, catalog: Catalog, parent: pulumi.Resource) -> None:
        self.blueprint = blueprint
        self.facts = project_facts(blueprint)
        self.audit_sources = placement.audit_sources(blueprint, catalog)
        self.services: list[Service] = []
        self._catalog = catalog
        self.authority = CertificateAuthority("authority", f"Terrace {blueprint.environment}", parent)
        self._own: dict[str, tuple[str, Node]] = {}
        self._targets = {host.name: HostTarget(self, host, parent) for host in blueprint.hosts}
        if len(self._targets) > 1:
            self._link(parent)

    def of(self, slot: str) -> HostTarget:
        """Return the host that ``slot`` is on."""
        return self._targets[self.blueprint.places[slot]]

    def announced(self, slot: str) -> HostTarget | None:
        """Return the host that must be told of what is for ``slot``; None where no host has that slot."""
        return self.of(slot) if slot in self.blueprint.places else None

    def software(self, host: str) -> dict[str, dict[str, str]]:
        """Return what the services on a host are to run; see `terrace.upgrades`."""
        return upgrades.software(self.blueprint, self._catalog, host)

    def others(self, target: HostTarget) -> tuple[HostTarget, ...]:
        """Return the hosts beside ``target``."""
        return tuple(other for other in self._targets.values() if other is not target)

    def note(self, service: Service, workload: Workload) -> None:
        """Take note of what several hosts have, each its own."""
        self.services.append(service)
        node = Node((), (), (replace(workload, name=service.name),), (service.probe_port,))
        self._own[service.name] = (service.host, node)

    @property
    def backup(self) -> str:
        """How the hosts that make backups are reached, as JSON, that of the databases first; empty without backups."""
        if backup.SLOT not in self.blueprint.places:
            return ""
        first = self.blueprint.host_of(backup.SLOT)
        hosts = (first, *(host for host in self.blueprint.hosts if host is not first))
        return json.dumps([host.document() for host in hosts], sort_keys=True)

    def close(self, nodes: Mapping[str, Node] | Exception) -> None:
        """Tell every host that all workloads are declared, and who connects to which port; or why that failed.

        Args:
            nodes: Every slot as edges see it.
        """
        if isinstance(nodes, Exception):
            for target in self._targets.values():
                target.close(nodes)
            return
        places = self.blueprint.places
        homes = {workload.name: places[slot] for slot, each in nodes.items() for workload in each.workloads}
        homes |= {name: host for name, (host, _) in self._own.items()}
        found = edges.listeners({**nodes, **{name: node for name, (_, node) in self._own.items()}})
        for name, target in self._targets.items():
            target.close(edges.on_host(found, name, homes))

    @property
    def are_elsewhere(self) -> bool:
        """Whether there are hosts beside this machine."""
        return len(self._targets) > 1 or not self.blueprint.hosts[0].is_here

    def listed(self) -> list[dict[str, Any]]:
        """Return the services as stack outputs, each with its host where that isn't this machine alone."""
        return [self._listed(service) for service in self.services]

    def _listed(self, service: Service) -> dict[str, Any]:
        known = dict(vars(service))
        host = known.pop("host") or self.blueprint.places[service.slot]
        return {**known, "host": host} if self.are_elsewhere else known

    def exports(self) -> Mapping[str, pulumi.Input[Any]]:
        """Return the inventory, a secret; where there are other machines, also how they are reached and are trusted."""
        shown: dict[str, pulumi.Input[Any]] = {"inventory": self.inventory()}
        if self.are_elsewhere:
            shown["hosts"] = [host.document() for host in self.blueprint.hosts]
            shown["certificate"] = self.authority.certificate
        return shown

    def inventory(self) -> pulumi.Output[Any]:
        """Return what ``ansible-playbook playbooks/site.yml`` needs to do the same without Pulumi, a secret."""
        targets = list(self._targets.values())
        return whole([target.roles for target in targets], secret=True).apply(
            lambda known: {
                "all": {
                    "hosts": {
                        target.label: {**_connection(target), "terrace_roles": literal(each)}
                        for target, each in zip(targets, known, strict=True)
                    }
                }
            }
        )

    def _link(self, parent: pulumi.Resource) -> None:
        blueprint = self.blueprint
        between = placement.edges(blueprint, self._catalog)
        addresses = {host.name: host.address for host in blueprint.hosts}
        authorities = {
            name: CertificateAuthority(
                f"authority-{name}", links.authority_subject(blueprint.environment, name), parent
            )
            for name in addresses
        }
        watching = blueprint.places.get("monitoring")
        for host in blueprint.hosts:
            target = self._targets[host.name]
            link = links.Link(
                blueprint.environment,
                host,
                addresses,
                authorities,
                between,
                target.own_port("link"),
                None if host.name == watching else target.own_port("machine"),
                target.audit_port,
            )
            self._run(link, target, parent)

    def _run(self, link: links.Link, target: HostTarget, parent: pulumi.Resource) -> None:
        host, port = target.host, link.status_port
        probe = f"http://127.0.0.1:{port}{status.CERTIFICATES}"  # without them it takes no connection
        url = f"ssh://{host.address}" if not host.is_here else f"https://{host.address}"
        name = edges.name_among_all(edges.LINK, host.name)
        target.link(Service(edges.LINK, links.FLAVOR, name, url, probe, port, host.name), link.workload(), parent)


def _connection(target: HostTarget) -> Mapping[str, Any]:
    """Return how Ansible reaches the host; keys stay in their files, and the host's must be known."""
    host = target.host
    if host.is_here:
        return {"ansible_connection": "local"}
    key = {"ansible_ssh_private_key_file": host.key_file} if host.key_file else {}
    where = {"ansible_connection": "ssh", "ansible_host": host.address, "ansible_port": host.port}
    return {**where, "ansible_user": host.user, "ansible_become": host.user != "root", **key}
