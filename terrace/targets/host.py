"""The host target: every workload becomes one run of an Ansible role."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import pulumi

from components.audit import AuditSpec
from components.programs import lock_text
from terrace import at_rest
from terrace.certificates import CertificateAuthority
from terrace.facts import project_facts
from terrace.host_ansible import literal
from terrace.host_provider import Host, HostRole
from terrace.masking import input_classes
from terrace.spec import SecretReference
from terrace.targets import host_configuration
from terrace.targets.base import Target
from terrace.workload import Need, Probe, Workload

if TYPE_CHECKING:
    from terrace.edges import Listener
    from terrace.resolve import Blueprint
    from terrace.spec_host import Firewall

Fill = Callable[[pulumi.Input[str]], pulumi.Input[str]]
PLACEHOLDER = re.compile(r"\$\((BIN|CONFIG|DATA)\)")


class HostTarget(Target):
    """One machine, configured by Ansible. Services listen on loopback; the gateway is the one entrance."""

    name: ClassVar[str] = "host"

    def __init__(self, blueprint: Blueprint, parent: pulumi.Resource) -> None:
        super().__init__(project_facts(blueprint))
        self.blueprint = blueprint
        self.environment = blueprint.environment
        self.input_classes = input_classes(blueprint.spec.use_cases)
        self._package_index = _address(blueprint, "package_index")
        self._proxy = _address(blueprint, "proxy")
        self._network = {
            "terrace_environment": blueprint.environment,
            "terrace_package_index": self._package_index or "",
            "terrace_proxy": self._proxy or "",
        }
        host = blueprint.hosts[0]
        whose = {"terrace_environment": blueprint.environment, "host_project": pulumi.get_project()}
        self.roles: list[dict[str, Any]] = [{"role": "host", "instance": "host", "variables": whose}]
        self._host = Host(
            "host",
            connection=host.model_dump(mode="json", exclude={"configure"}),
            environment=blueprint.environment,
            project=pulumi.get_project(),
            opts=pulumi.ResourceOptions(parent=parent),
        )
        self.authority = CertificateAuthority("authority", f"Terrace {blueprint.environment}", parent)
        self._first: list[pulumi.Resource] = [self._host]
        self._first.append(self.role("base", "base", self._base_variables(), parent))
        if host.configure.encrypted_data:
            self._first.append(self._encrypted_data(parent))
        self._listeners: Callable[[pulumi.Output[list[dict[str, Any]]]], None] | None = None
        if host.configure.firewall:
            self._first.append(self._firewall(host.configure.firewall, parent))
        earlier: list[pulumi.Resource] = []
        for role, instance, variables in host_configuration.roles(host.configure, blueprint.spec.team):
            earlier = [self.role(role, instance, variables, parent, earlier)]

    def role(
        self,
        role: str,
        instance: str,
        variables: Mapping[str, Any],
        parent: pulumi.Resource,
        after: Sequence[pulumi.Resource] = (),
    ) -> HostRole:
        """Converge the Ansible role ``role`` for ``instance`` on the host.

        Args:
            role: A folder of ``ansible/roles``.
            instance: What the role is run for; unique together with ``role``.
            variables: The role's variables; may hold outputs and secrets.
            parent: The component that it belongs to.
            after: Resources that must be complete before.
        """
        everything = {**self._network, **variables}
        self.roles.append({"role": role, "instance": instance, "variables": everything})
        return HostRole(
            f"{instance}-{role}" if role != instance else role,
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
        return self.role("service", workload.name, self._service_variables(workload), parent, after)

    def close(self, listeners: tuple[Listener, ...] | Exception) -> None:
        """Tell the firewall, where there is one, which ports there are."""

        def known(_nothing: str) -> list[dict[str, Any]]:
            if isinstance(listeners, Exception):
                raise listeners
            return host_configuration.firewall_listeners(listeners)

        if self._listeners:
            self._listeners(pulumi.Output.from_input("").apply(known))

    def address(self, workload: Workload, port: str) -> str:
        """Return the loopback address of ``port``."""
        return f"http://127.0.0.1:{workload.port(port)}"

    def user(self, service: str) -> str:
        """Return the name of the system user that ``service`` runs as."""
        return f"terrace-{self.environment}-{service}"

    def data_folder(self, service: str) -> str:
        """Return the folder that outlives restarts, upgrades, and a destroy that keeps data."""
        return f"/var/lib/terrace/{self.environment}/{service}"

    @property
    def audit_port(self) -> int | None:
        """The audit log's port, for the gateway, which comes before it; None where there is no slot ``audit``."""
        spec = self.blueprint.slots.get("audit")
        return spec.port if isinstance(spec, AuditSpec) else None

    @property
    def ca_file(self) -> str:
        """Where the host keeps the certificate of the environment's own CA."""
        return f"/etc/terrace/{self.environment}/ca.crt"

    def inventory(self) -> pulumi.Output[Any]:
        """Return what ``ansible-playbook playbooks/site.yml`` needs to do the same without Pulumi."""
        roles: pulumi.Output[list[dict[str, Any]]] = pulumi.Output.from_input(self.roles)
        return roles.apply(
            lambda known: {"all": {"hosts": {"host": {"ansible_connection": "local", "terrace_roles": literal(known)}}}}
        )

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

    def _encrypted_data(self, parent: pulumi.Resource) -> HostRole:
        """Refuse a machine that doesn't encrypt what is to be kept there, before it is."""
        program = Path(at_rest.__file__).read_text(encoding="utf-8")
        variables = {"encrypted_data_folders": list(self.blueprint.data_folders), "encrypted_data_program": program}
        return self.role("encrypted_data", "encrypted_data", variables, parent)

    def _firewall(self, wanted: Firewall, parent: pulumi.Resource) -> HostRole:
        """Close the ports before the services start; which ones is known when all are declared."""
        listeners, self._listeners = pulumi.deferred_output()
        variables = {"firewall_listeners": listeners, "firewall_allow_users": list(wanted.allow_users)}
        return self.role("firewall", "firewall", variables, parent)

    def _service_variables(self, workload: Workload) -> dict[str, Any]:
        fill = self._filler(workload.name)
        lock = workload.artifact.lock
        return {
            "service_name": workload.name,
            "service_python_lock": lock_text(lock) if lock else "",
            "service_packages": list(workload.artifact.packages),
            "service_files": _files(workload, fill, live=False),
            "service_live_files": _files(workload, fill, live=True),
            "service_environment": {name: fill(value) for name, value in workload.environment.items()},
            "service_secrets": {
                **{name: fill(value) for name, value in workload.secrets.items()},
                **(self._download_variables() if workload.downloads else {}),
            },
            "service_unsaved": list(workload.unsaved),
            "service_reads_all": workload.reads_all,
            "service_grows": workload.grows,
            "service_setup": _setup(workload, fill, live=False),
            "service_live_setup": _setup(workload, fill, live=True),
            "service_processes": [
                {
                    "name": process.name,
                    "command": [fill(word) for word in process.command],
                    "memory_mb": process.memory_mb,
                    "stop_seconds": process.stop_seconds,
                }
                for process in workload.processes
            ],
            **_edges(workload),
        }

    def _download_variables(self) -> dict[str, pulumi.Input[str]]:
        """Return what uv is told of the host: where packages come from, and whose certificates it trusts."""
        variables: dict[str, pulumi.Input[str]] = {"UV_SYSTEM_CERTS": "true"}
        if self._package_index:
            variables["UV_DEFAULT_INDEX"] = self._package_index
        if self._proxy:
            variables |= {"HTTP_PROXY": self._proxy, "HTTPS_PROXY": self._proxy, "NO_PROXY": "localhost,127.0.0.1"}
        return variables

    def _filler(self, service: str) -> Fill:
        places = {
            "BIN": f"/opt/terrace/{self.environment}/{service}/venv/bin",
            "CONFIG": f"/etc/terrace/{self.environment}/{service}",
            "DATA": self.data_folder(service),
        }

        def fill_text(text: str) -> str:
            return PLACEHOLDER.sub(lambda match: places[match.group(1)], text)

        def fill(value: pulumi.Input[str]) -> pulumi.Input[str]:
            if isinstance(value, str):
                return fill_text(value)
            output: pulumi.Output[str] = pulumi.Output.from_input(value)
            return output.apply(fill_text)

        return fill


def _address(blueprint: Blueprint, name: Literal["package_index", "proxy"]) -> pulumi.Input[str] | None:
    """Return an address of the spec's `network`; one that the stack file keeps encrypted is a secret output."""
    value: str | SecretReference | None = getattr(blueprint.network, name)
    if not isinstance(value, SecretReference):
        return value
    return secret_of_spec("network", name)


def secret_of_spec(*path: str) -> pulumi.Output[str]:
    """Return what the stack file keeps encrypted at ``path`` below `terrace:platform`, a secret output."""
    platform: pulumi.Output[Any] = pulumi.Config("terrace").require_secret_object("platform")
    return platform.apply(lambda spec: functools.reduce(lambda part, key: part[key], path, spec))


def _files(workload: Workload, fill: Fill, *, live: bool) -> list[dict[str, pulumi.Input[str]]]:
    return [{"path": file.path, "content": fill(file.content)} for file in workload.files if file.live is live]


def _setup(workload: Workload, fill: Fill, *, live: bool) -> list[dict[str, Any]]:
    steps = [step for step in workload.setup if step.live is live]
    return [{"name": step.name, "command": [fill(word) for word in step.command]} for step in steps]


def gateway_needs(path: str, needs: Sequence[Need]) -> list[dict[str, str]]:
    """Return what requests need below the gateway's ``path``: patterns of «method path», each with its right."""
    return [
        {
            "request": f"^({'|'.join(need.methods) or '[A-Z]+'}) {re.escape(path)}{re.escape(need.path)}"
            + ("$" if need.path else ""),
            "right": need.right,
        }
        for need in needs
    ]


def _edges(workload: Workload) -> dict[str, Any]:
    """Return how others reach the workload: ports, probe, routes, metrics."""
    return {
        "service_ports": [port.number for port in workload.ports],
        "service_probe": _probe(workload, workload.probe) if workload.probe else {},
        "service_routes": [
            {
                "path": route.path,
                "port": workload.port(route.port),
                "auth": route.auth,
                "slot": route.slot,
                "needs": gateway_needs(route.path, route.needs) if route.auth == "gateway" else [],
                "keep_path": route.keep_path,
                "body_mb": route.body_mb,
                "hidden": list(route.hidden),
            }
            for route in workload.routes
        ],
        "service_metrics": [
            {"port": workload.port(metrics.port), "path": metrics.path} for metrics in workload.metrics
        ],
    }


def _probe(workload: Workload, probe: Probe) -> dict[str, Any]:
    return {
        "port": workload.port(probe.port),
        "path": probe.path,
        "status": probe.status,
        "timeout_seconds": probe.timeout_seconds,
    }
