"""The dynamic provider behind the host target: one Ansible role, converged for one instance on one host.

The provider class is stateless and is found in the state by this module's name, so neither may change. What it does
on the host stands in ``terrace/host_ansible.py``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import pulumi
from pulumi import dynamic

from terrace.whole import whole

ANSIBLE = Path(__file__).parents[1] / "ansible"
SHARED_ROLES = ("manifest", "service")  # used by the tasks of other roles
DELETE_DATA = "TERRACE_DELETE_DATA"
COMPARED = ("host", "environment", "role", "instance", "variables", "content")
OF_HOST = ("software", "backup")  # what a host has beyond its role: see terrace/upgrades.py


class HostProvider(dynamic.ResourceProvider):
    """Converges, checks, and removes a role on a host. Raises OperationError, redacted, when Ansible fails."""

    serialize_as_secret_always = False

    def check(self, _olds: Mapping[str, Any], news: Mapping[str, Any]) -> dynamic.CheckResult:
        """Refuse a host whose services would go back to versions that can't read their data."""
        from terrace import upgrades

        refused = [dynamic.CheckFailure("software", str(error)) for error in upgrades.refusals(news)]
        return dynamic.CheckResult(dict(news), refused)

    def create(self, props: Mapping[str, Any]) -> dynamic.CreateResult:
        """Converge the role; meets its own earlier work without harm."""
        from terrace import host_ansible

        host_ansible.converge(_task(props))
        return dynamic.CreateResult(id_=_identity(props), outs=_outputs(props, drifted=False))

    def diff(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dynamic.DiffResult:
        """Compare content, variables, and host; what drifted, was cut short, or is down is a change too.

        So is a host that can't be reached: the update then fails, and names it.
        """
        from terrace import upgrades

        changed = [name for name in (*COMPARED, *OF_HOST) if olds.get(name) != news.get(name)]
        replaces = [name for name in changed if name in ("environment", "role", "instance") or _moves(name, olds, news)]
        changes = bool(changed or olds.get("drifted")) or upgrades.must_save(news) or not _stands(_task(olds))
        return dynamic.DiffResult(changes=changes, replaces=replaces, delete_before_replace=True)

    def update(self, _id: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> dynamic.UpdateResult:
        """Converge the role with its new variables; a host then saves what is about to be changed for good."""
        from terrace import host_ansible, upgrades

        host_ansible.converge(_task(news))
        upgrades.save_first(olds, news)
        return dynamic.UpdateResult(outs=_outputs(news, drifted=False))

    def read(self, id_: str, props: Mapping[str, Any]) -> dynamic.ReadResult:
        """Run the role in check mode; what it would change has drifted."""
        from terrace import host_ansible

        changed = host_ansible.check(_task(props))
        return dynamic.ReadResult(id_=id_, outs=_outputs(props, drifted=changed > 0))

    def delete(self, _id: str, props: Mapping[str, Any]) -> None:
        """Remove what the role made; data only where the environment variable TERRACE_DELETE_DATA is 1."""
        from terrace import host_ansible

        host_ansible.remove(_task(props), delete_data=os.environ.get(DELETE_DATA) == "1")


class Host(dynamic.Resource, module="terrace", name="Host"):
    """A host; created first and deleted last, when it removes all that its manifest still lists."""

    def __init__(
        self,
        name: str,
        connection: Mapping[str, Any],
        environment: str,
        project: str,
        software: Mapping[str, Mapping[str, str]],
        backup: str,
        opts: pulumi.ResourceOptions,
    ) -> None:
        host = json.dumps(dict(connection), sort_keys=True)
        variables = {"terrace_environment": environment, "host_project": project}
        inputs = _inputs(host, environment, "host", "host", variables)
        super().__init__(HostProvider(), name, {**inputs, "software": software, "backup": backup}, opts)
        self.connection = host
        self.environment = environment


class HostRole(dynamic.Resource, module="terrace", name="HostRole"):
    """An Ansible role converged on a host for one instance."""

    def __init__(
        self,
        name: str,
        host: Host,
        role: str,
        instance: str,
        variables: Mapping[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> None:
        inputs = _inputs(host.connection, host.environment, role, instance, variables)
        super().__init__(HostProvider(), name, inputs, opts)


def _inputs(
    host: str, environment: str, role: str, instance: str, variables: Mapping[str, Any]
) -> dict[str, pulumi.Input[Any]]:
    """Return a resource's inputs. Variables travel as text: engines turn numbers into floats and drop nulls."""
    known = whole(variables, secret=True).apply(lambda values: json.dumps(values, sort_keys=True))
    return {
        "host": host,
        "environment": environment,
        "role": role,
        "instance": instance,
        "variables": known,
        "content": content_digest(role),
        "drifted": False,
    }


def _task(props: Mapping[str, Any]) -> Any:
    from terrace.host_ansible import Task

    return Task(
        host=json.loads(props["host"]),
        environment=props["environment"],
        role=props["role"],
        instance=props["instance"],
        variables=json.loads(props["variables"]),
        digest=hashlib.sha256("\0".join(props[name] for name in COMPARED).encode()).hexdigest(),
    )


def _stands(task: Any) -> bool:
    """Tell whether the host says that the role is converged and what it keeps running is up."""
    from terrace import host_ansible
    from terrace.errors import OperationError

    try:
        return host_ansible.is_converged(task) and host_ansible.is_up(task)
    except OperationError:
        return False


def _moves(name: str, olds: Mapping[str, Any], news: Mapping[str, Any]) -> bool:
    """Tell whether the difference in ``name`` is that of another host."""
    return name == "host" and json.loads(olds["host"])["name"] != json.loads(news["host"])["name"]


def _outputs(props: Mapping[str, Any], *, drifted: bool) -> dict[str, Any]:
    kept = {name: props[name] for name in (*COMPARED, *OF_HOST) if name in props}
    return {**kept, "drifted": drifted}


def _identity(props: Mapping[str, Any]) -> str:
    host = json.loads(props["host"])["name"]
    return "/".join((host, props["environment"], props["role"], props["instance"]))


@lru_cache
def content_digest(role: str) -> str:
    """Return a digest over the files that decide what converging ``role`` does."""
    digest = hashlib.sha256()
    for file in _content(role):
        digest.update(str(file.relative_to(ANSIBLE)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _content(role: str) -> Iterable[Path]:
    folders = [ANSIBLE / "roles" / name for name in sorted({role, *SHARED_ROLES})]
    files = [file for folder in (*folders, ANSIBLE / "library") for file in sorted(folder.rglob("*"))]
    return [ANSIBLE / "playbooks" / "role.yml", *(file for file in files if file.is_file() and file.suffix != ".pyc")]
