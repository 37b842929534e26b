"""The host target: every workload becomes one run of an Ansible role."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pulumi

from components.audit import AuditSpec
from components.programs import lock_text
from terrace import at_rest
from terrace.host_provider import Host, HostRole
from terrace.hosts import HERE, is_loopback
from terrace.hosts import Host as HostSpec
from terrace.placement import link_ports
from terrace.targets import host_configuration
from terrace.targets.base import Service, Target
from terrace.targets.given import network_address
from terrace.targets.places import data_folder, filler, socket_path, software_folder
from terrace.targets.variables import edges, files, gateway_acts, gateway_needs, setup, software
from terrace.workload import Workload

if TYPE_CHECKING:
    from terrace.edges import Listener
    from terrace.spec_host import Firewall
    from terrace.targets.hosts import Hosts

__all__ = ["HostTarget", "gateway_acts", "gateway_needs"]

ANNOUNCED = {"gateway": "service_routes", "monitoring": "service_metrics"}


class HostTarget(Target):
    """One machine, configured by Ansible. Services listen on loopback; the gateway is the one entrance.

    Args:
        hosts: All hosts of the platform.
        host: This one.
        parent: What everything on it that no component made belongs to.
    """

    name: ClassVar[str] = "host"

    def __init__(self, hosts: Hosts, host: HostSpec, parent: pulumi.Resource) -> None:
        super().__init__(hosts.blueprint, hosts.facts)
        self._hosts = hosts
        self.host = host
        self.services = hosts.services
        self.authority = hosts.authority
        self.audit_sources = hosts.audit_sources
        blueprint = hosts.blueprint
        self._package_index = network_address(blueprint, "package_index")
        self._proxy = network_address(blueprint, "proxy")
        self._network = {
            "terrace_environment": blueprint.environment,
            "terrace_package_index": self._package_index or "",
            "terrace_proxy": self._proxy or "",
        }
        whose = {"terrace_environment": blueprint.environment, "host_project": pulumi.get_project()}
        self.roles: list[dict[str, Any]] = [{"role": "host", "instance": "host", "variables": whose}]
        self._host = Host(
            self._named("host"),
            connection=host.document(),
            environment=blueprint.environment,
            project=pulumi.get_project(),
            software=hosts.software(host.name),
            backup=hosts.backup,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        self._first: list[pulumi.Resource] = [self._host]
        self._first.append(self.role("base", "base", self._base_variables(), parent, name=self._named("base")))
        self._listeners: Callable[[pulumi.Output[list[dict[str, Any]]]], None] | None = None
        self._configure(parent)

    def role(
        self,
        role: str,
        instance: str,
        variables: Mapping[str, Any],
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
        name: str = "",
    ) -> HostRole:
        """Converge the Ansible role ``role`` for ``instance`` on the host.

        Args:
            role: A folder of ``ansible/roles``.
            instance: What the role is run for; unique together with ``role``.
            variables: The role's variables; may hold outputs and secrets.
            parent: The component that it belongs to.
            after: Resources that must be complete before.
            name: The resource's name; needed where the role is run for the same instance on several hosts.
        """
        everything = {**self._network, **variables}
        self.roles.append({"role": role, "instance": instance, "variables": everything})
        return HostRole(
            name or (f"{instance}-{role}" if role != instance else role),
            host=self._host,
            role=role,
            instance=instance,
            variables=everything,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[*self._first, *after]),
        )

    def run(
        self, workload: Workload, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.Resource:
        """Keep ``workload`` running by the generic role ``service``."""
        self.workloads.append(workload)
        service = self.role("service", workload.name, self._service_variables(workload), parent, after)
        self._announce(workload, workload.name, parent)
        return service

    def run_as(
        self, service: Service, workload: Workload, parent: pulumi.Resource, after: Sequence[pulumi.Resource] = ()
    ) -> pulumi.Resource:
        """Keep up what several hosts have, each its own: among all services this host's is called ``service.name``."""
        made = self.role("service", workload.name, self._service_variables(workload), parent, after, service.name)
        self._announce(workload, service.name, parent)
        self._hosts.note(service, workload)
        return made

    def link(self, service: Service, workload: Workload, parent: pulumi.Resource) -> None:
        """Keep the links to the other hosts up, before anything else on this one."""
        self._first.append(self.run_as(service, workload, parent))

    @property
    def others(self) -> tuple[HostTarget, ...]:
        """The platform's other hosts."""
        return self._hosts.others(self)

    def own_port(self, what: str) -> int:
        """Return the port at which this one of several hosts tells how ``what`` of it is."""
        return link_ports(self.blueprint.spec)[f"{self.host.name}.{what}"]

    @property
    def label(self) -> str:
        """The host's name in an inventory."""
        return "host" if self.host.name == HostSpec().name else self.host.name

    @property
    def own_address(self) -> str:
        """The address that clients reach the host by; loopback where it is this machine alone."""
        return HERE if is_loopback(self.host.address) else self.host.address

    def close(self, listeners: tuple[Listener, ...] | Exception) -> None:
        """Tell the firewall, where there is one, which ports there are."""
        addresses = {host.name: host.address for host in self.blueprint.hosts}

        def known(_nothing: str) -> list[dict[str, Any]]:
            if isinstance(listeners, Exception):
                raise listeners
            return host_configuration.firewall_listeners(listeners, addresses)

        if self._listeners:
            self._listeners(pulumi.Output.from_input("").apply(known))

    def host_of(self, _service: str, /) -> str:
        """Return loopback: every service is there, or a link to the host that it is on."""
        return HERE

    @property
    def peers(self) -> str:
        """Loopback."""
        return HERE

    def user(self, service: str) -> str:
        """Return the name of the system user that ``service`` runs as."""
        return f"terrace-{self.environment}-{service}"

    def data_folder(self, service: str) -> str:
        """Return the folder that outlives restarts, upgrades, and a destroy that keeps data."""
        return data_folder(self.environment, service)

    def software_folder(self, service: str) -> str:
        """Return the folder that holds the software of ``service``."""
        return software_folder(self.environment, service)

    def socket(self, service: str) -> str:
        """Return the Unix socket of ``service``, which the service that it is for may open alone."""
        return socket_path(self.environment, service)

    @property
    def audit_port(self) -> int | None:
        """The audit log's port, for the gateway, which comes before it; None where there is no slot ``audit``."""
        spec = self.blueprint.slots.get("audit")
        return spec.port if isinstance(spec, AuditSpec) else None

    def listed_services(self) -> list[dict[str, Any]]:
        """Return the services of all hosts so far."""
        return self._hosts.listed()

    @property
    def routes_folder(self) -> str:
        """Where services put their routes for the gateway."""
        return f"/etc/terrace/{self.environment}/gateway-routes"

    @property
    def scrape_folder(self) -> str:
        """Where services put their scrape targets for Prometheus."""
        return f"/etc/terrace/{self.environment}/scrape-targets"

    def _base_variables(self) -> dict[str, Any]:
        uv_lock = lock_text("uv")
        return {
            "base_ca_certificate": self.authority.certificate,
            "base_uv_version": uv_lock.partition(" ")[0].removeprefix("uv=="),
            "base_uv_lock": uv_lock,
        }

    def _configure(self, parent: pulumi.Resource) -> None:
        """Configure the machine itself, as far as the spec asks for it."""
        wanted = self.host.configure
        if wanted.encrypted_data:
            self._first.append(self._encrypted_data(parent))
        if wanted.firewall:
            self._first.append(self._firewall(wanted.firewall, parent))
        earlier: list[pulumi.Resource] = []
        for role, instance, variables in host_configuration.roles(wanted, self.blueprint.spec.team):
            name = self._named(f"{instance}-{role}" if role != instance else role)
            earlier = [self.role(role, instance, variables, parent, earlier, name)]

    def _encrypted_data(self, parent: pulumi.Resource) -> HostRole:
        """Refuse a machine that doesn't encrypt what is to be kept there, before it is."""
        program = Path(at_rest.__file__).read_text(encoding="utf-8")
        variables = {"encrypted_data_folders": list(self.blueprint.data_folders), "encrypted_data_program": program}
        name = self._named("encrypted_data")
        return self.role("encrypted_data", "encrypted_data", variables, parent, name=name)

    def _firewall(self, wanted: Firewall, parent: pulumi.Resource) -> HostRole:
        """Close the ports before the services start; which ones is known when all are declared."""
        listeners, self._listeners = pulumi.deferred_output()
        variables = {"firewall_listeners": listeners, "firewall_allow_users": list(wanted.allow_users)}
        return self.role("firewall", "firewall", variables, parent, name=self._named("firewall"))

    def _named(self, what: str) -> str:
        """Return the name of a resource that every host has."""
        return what if self.host.name == HostSpec().name else f"{what}-{self.host.name}"

    def _announce(self, workload: Workload, instance: str, parent: pulumi.Resource) -> None:
        """Tell the gateway's host of the workload's routes, and monitoring's of its metrics, where they are others."""
        told: dict[str, tuple[HostTarget, dict[str, Any]]] = {}
        for slot, part in ANNOUNCED.items():
            target = self._hosts.announced(slot)
            if target and target is not self and (wanted := edges(workload)[part]):
                told.setdefault(target.host.name, (target, {}))[1][part] = wanted
        for name, (target, parts) in told.items():
            logical = f"{instance}-announcement-{name}"
            variables = {"service_name": instance, **parts}
            target.role("announcement", instance, variables, parent, name=logical)

    def _elsewhere(self) -> dict[str, Any]:
        """Return the variables that tell of what another host is told; see `_announce`."""
        return {part: [] for slot, part in ANNOUNCED.items() if self._hosts.announced(slot) not in (None, self)}

    def _service_variables(self, workload: Workload) -> dict[str, Any]:
        fill = filler(self.environment, workload.name)
        return {
            "service_name": workload.name,
            **software(workload.artifact),
            "service_files": files(workload, fill, live=False),
            "service_live_files": files(workload, fill, live=True),
            "service_environment": {name: fill(value) for name, value in workload.environment.items()},
            "service_secrets": {
                **{name: fill(value) for name, value in workload.secrets.items()},
                **(self._download_variables() if workload.downloads else {}),
            },
            "service_unsaved": list(workload.unsaved),
            "service_reads_all": workload.reads_all,
            "service_grows": workload.grows,
            "service_socket_for": workload.reached_by,
            "service_setup": setup(workload, fill, live=False),
            "service_live_setup": setup(workload, fill, live=True),
            "service_processes": [
                {
                    "name": process.name,
                    "command": [fill(word) for word in process.command],
                    "memory_mb": process.memory_mb,
                    "stop_seconds": process.stop_seconds,
                }
                for process in workload.processes
            ],
            **edges(workload),
            **self._elsewhere(),
        }

    def _download_variables(self) -> dict[str, pulumi.Input[str]]:
        """Return what uv is told of the host: where packages come from, and whose certificates it trusts."""
        variables: dict[str, pulumi.Input[str]] = {"UV_SYSTEM_CERTS": "true"}
        if self._package_index:
            variables["UV_DEFAULT_INDEX"] = self._package_index
        if self._proxy:
            variables |= {"HTTP_PROXY": self._proxy, "HTTPS_PROXY": self._proxy, "NO_PROXY": "localhost,127.0.0.1"}
        return variables
