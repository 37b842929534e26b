"""Looks at a platform's hosts, wherever they are: how its services are, and what a host lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from terrace import config, doctor, ports, remote, resolve, status
from terrace.doctor import Check, Needs
from terrace.errors import OperationError, TerraceError
from terrace.hosts import Host
from terrace.resolve import Blueprint
from terrace.status import Health, Status


def examine(env: str, outputs: Mapping[str, Any]) -> Status:
    """Probe all services at once; those of a host that can't be reached are not healthy, and say so.

    Args:
        env: The environment.
        outputs: Its stack outputs; ``hosts`` tells how other machines are reached, and ``cluster`` how the cluster is,
            see `terrace.platform.build`.
    """
    if outputs.get("cluster"):
        from terrace import cluster_status  # with Kubernetes' client, which hosts don't need

        return cluster_status.examine(env, outputs)
    hosts: Sequence[Mapping[str, Any]] = outputs.get("hosts") or ()
    if not hosts:
        return status.examine(env, outputs)
    services: Sequence[Mapping[str, Any]] = outputs.get("services") or ()

    def ask(host: Mapping[str, Any]) -> list[Health]:
        return _ask(env, host, [service for service in services if service["host"] == host["name"]])

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        found = {health.name: health for healths in pool.map(ask, hosts) for health in healths}
    return status.summary(env, outputs, (found[service["name"]] for service in services))


def _ask(env: str, host: Mapping[str, Any], services: list[Mapping[str, Any]]) -> list[Health]:
    try:
        here = host["connection"] == "local"
        answers = status.probe(env, services) if here else remote.call(host, "terrace.status.probe", env, services)
        return [Health(**answer) for answer in answers]
    except OperationError as error:
        said, keys = _said(error), ("slot", "flavor", "name", "url")
        return [Health(**{key: str(each[key]) for key in keys}, healthy=False, detail=said) for each in services]


def _said(error: OperationError) -> str:
    """Return what went wrong on a host, on one line."""
    said = (error.why or "").splitlines()
    return f"{error.where}: {error.what}" + (f" ({said[-1]})" if said else "")


def checks(root: Path, env: str) -> tuple[Check, ...]:
    """Return what this machine lacks, or, for an environment on others, what each of those or its cluster lacks.

    Raises:
        InputError: There is no such environment, or its spec is wrong.
    """
    blueprint = resolve.resolve(config.load(root, env))
    if blueprint.target == "kubernetes":
        from terrace import cluster_doctor  # with Kubernetes' client, which hosts don't need

        return cluster_doctor.examine(blueprint)
    needs, hosts = doctor.needs_of(root, env), blueprint.hosts
    if len(hosts) == 1 and hosts[0].is_here:
        return (*doctor.examine(needs), *_shared_ports(root, env, needs.ports), *_machines(hosts[0], blueprint))
    share = replace(needs, disk_gb=needs.disk_gb / len(hosts), memory_gb=needs.memory_gb / len(hosts))

    def ask(host: Host) -> list[Check]:
        ports = {
            name: port for name, port in needs.ports.items() if blueprint.places[name.partition(".")[0]] == host.name
        }
        wanted = replace(share, ports=ports, encrypted=host.configure.encrypted_data is not None)
        return _lacks(host, wanted, blueprint)

    with ThreadPoolExecutor(max_workers=len(hosts)) as pool:
        return tuple(check for found in pool.map(ask, hosts) for check in found)


def _shared_ports(root: Path, env: str, ports: Mapping[str, int]) -> Iterator[Check]:
    """Yield what another environment of this machine wants as well: only one of them can come up."""
    for other in config.environments(root):
        try:
            blueprint = resolve.resolve(config.load(root, other))
        except TerraceError:  # it says so itself when it is used
            continue
        shared = sorted(name for name, port in ports.items() if port in blueprint.ports.values())
        if other != env and shared and any(host.is_here for host in blueprint.hosts):
            fix = f"give {', '.join(shared)} other ports in stacks/Pulumi.{env}.yaml, to have both at once"
            yield Check("ports", False, f"{len(shared)} of them are also those of {other}", fix, necessary=False)


def _lacks(host: Host, needs: Needs, blueprint: Blueprint) -> list[Check]:
    if host.is_here:
        return [*doctor.examine(needs), *_machines(host, blueprint)]
    try:
        function = "terrace.doctor.examine_host"
        answers = remote.call(
            host.document(), function, asdict(needs), _proxy(blueprint), needs=("terrace.at_rest", "terrace.ports")
        )
        answers += map(asdict, _machines(host, blueprint))
    except OperationError as error:
        return [Check(host.name, False, _said(error), error.fix or "")]
    found = [Check(**{**answer, "name": f"{host.name}: {answer['name']}"}) for answer in answers]
    return [Check(host.name, True, f"{host.address} lets {host.user} in"), *found]


def _machines(host: Host, blueprint: Blueprint) -> Iterator[Check]:
    """Yield whether the host reaches the machines beyond the platform that the spec names."""
    for option, (address, port) in blueprint.machines.items():
        if host.is_here:
            said = ports.unreachable(address, port)
        else:
            said = remote.call(host.document(), "terrace.ports.unreachable", address, port)
        found = f"{address}, port {port}, " + (f"can't be reached: {said}" if said else "answers")
        yield Check(option, not said, found, "see whether it runs, its address, and the network" if said else "")


def _proxy(blueprint: Blueprint) -> str:
    proxy = blueprint.network.proxy
    return proxy if isinstance(proxy, str) else ""
