"""JupyterLab for each person of the team whose role gives the right.

Provides notebooks and terminals at the gateway's ``/workbench/``: a server per person, under a system user or in a pod
of their own, with a home that nobody else can read, asleep until they come and again when they go, connected to the
platform by the person's own account. Leaves out a hub, work shared in one server, and the account of projects: what
runs here may do what its person may, and no more.

Upstream: https://jupyter-server.readthedocs.io/, written for JupyterLab 4.6 and Jupyter Server 2.21.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import pulumi
from pydantic import Field

from components.base import Component, FlavorSpec, Inputs, PersonAccount, salted_hash
from components.data_versioning import DataVersioningOutputs
from components.feature_store import FeatureStoreOutputs
from components.gateway import GatewayOutputs
from components.pipelines import PipelinesOutputs
from components.programs import lock_text, program_files
from components.serving import ServingOutputs
from components.tracking import TrackingOutputs
from components.workbench import WorkbenchOutputs
from terrace.targets.base import Service
from terrace.targets.host import HostTarget
from terrace.workload import Artifact, File, Metrics, Need, Port, Probe, Process, Route, Workload

SLOT = "workbench"
PATH = "/workbench/"
LONGEST_USER = 32  # what Linux takes
POD_PORT = 15051  # of a person's server, which has a pod of its own
PROGRAMS = ("workbench_door.py", "workbench_server.py")
ASLEEP_MB = 128  # and some room for when somebody comes
PASSWORDS = ("TERRACE_GATEWAY_PASSWORD", "MLFLOW_TRACKING_PASSWORD", "PIPELINES_PASSWORD")


class JupyterLabSpec(FlavorSpec):
    """Options of the workbenches."""

    flavor: Literal["jupyterlab"] = "jupyterlab"
    port: int = Field(15050, ge=1024, le=65535, description="TCP port of their metrics.")
    volume_gb: int = Field(20, ge=1, description="Size (GiB) of each person's volume, on Kubernetes.")
    idle_minutes: int = Field(
        60,
        ge=1,
        le=10080,
        description="Time without work after which kernels, terminals, and servers end (minutes).",
    )
    memory_mb: int = Field(4096, ge=1024, description="Most memory (MiB) of one process, such as a notebook's.")
    upload_mb: int = Field(512, ge=1, le=4096, description="Largest file (MiB) that can be uploaded at once.")


class JupyterLab(Component[JupyterLabSpec, WorkbenchOutputs]):
    """The software for all, what watches them, and a server for each person."""

    token: ClassVar[str] = "terrace:workbench:JupyterLab"
    spec_type: ClassVar[type[FlavorSpec]] = JupyterLabSpec
    requires: ClassVar[tuple[str, ...]] = ("gateway", "tracking")
    uses: ClassVar[tuple[str, ...]] = ("data_versioning", "feature_store", "pipelines", "serving")
    connects: ClassVar[tuple[str, ...]] = ()  # people's code reaches everything through the gateway
    beside: ClassVar[str] = "gateway"  # on a host, by Unix sockets
    supports: ClassVar[tuple[str, ...]] = ("host", "kubernetes")
    artifact: ClassVar[Artifact] = Artifact(lock=SLOT, package="jupyterlab")

    def build(self, spec: JupyterLabSpec, inputs: Inputs) -> WorkbenchOutputs:
        """Run a server for everybody who has the right."""
        gateway = inputs.of("gateway", GatewayOutputs)
        people = [person for person in inputs.people if person.member.may(SLOT, "use")]
        place = _on_host(self.target, people) if isinstance(self.target, HostTarget) else _in_pods(people)
        shared = _shared(spec, place)
        software = self.target.run(shared, self)
        for name, person in place.people.items():
            environment = {**self.target.facts, **gateway.from_within(_connection(inputs, person))}
            workload = _of_person(spec, place, name, person, environment)
            self.target.run(workload, self, after=[software, gateway.resource])
        url = gateway.url + PATH
        probe = self.target.address(shared, "http") + "/health"
        self.target.services.append(Service(SLOT, spec.flavor, SLOT, url, probe, spec.port))
        return WorkbenchOutputs(url)


@dataclass(frozen=True)
class _Place:
    """Where the servers are.

    Args:
        people: Name of a server → whose it is.
        servers: Account → where the gateway finds the server, as nginx has it.
        watched: What is known of the servers from beside them.
        door: What a server listens on.
        binaries: The folder of the software.
        shared: The software that is there once for all servers.
        own: The software of each.
        ports: The ports of each.
        again: What starts the door anew when its server has ended well, where nobody else does so at once.
    """

    people: Mapping[str, PersonAccount]
    servers: Mapping[str, str]
    watched: Sequence[Mapping[str, str]]
    door: str
    binaries: str
    shared: Artifact
    own: Artifact
    ports: tuple[Port, ...] = ()
    again: tuple[str, ...] = ()


def _on_host(target: HostTarget, people: Sequence[PersonAccount]) -> _Place:
    """Return a system user's server for each person, on a Unix socket, with one installation for all."""
    named = {service_name(person.user, target.user("")): person for person in people}
    sockets = {person.user: target.socket(name) for name, person in named.items()}
    return _Place(
        named,
        {user: f"unix:{socket}" for user, socket in sockets.items()},
        [
            {"person": person.user, "user": target.user(name), "socket": sockets[person.user]}
            for name, person in named.items()
        ],
        door="unix:$(SOCKET)",
        binaries=f"{target.software_folder(SLOT)}/venv/bin",
        shared=JupyterLab.artifact if people else Artifact(),
        own=Artifact(),
    )


def _in_pods(people: Sequence[PersonAccount]) -> _Place:
    """Return a pod for each person, whose port nobody but the gateway reaches."""
    named = {service_name(person.user, ""): person for person in people}
    return _Place(
        named,
        {person.user: f"{name}:{POD_PORT}" for name, person in named.items()},
        [],
        door=f"$(LISTEN):{POD_PORT}",
        binaries="$(BIN)",
        shared=Artifact(),
        own=JupyterLab.artifact,
        ports=(Port("http", POD_PORT),),
        again=("/bin/sh", "-c", 'while "$@"; do :; done', "door"),  # the kubelet waits longer each time
    )


def service_name(person: str, prefix: str) -> str:
    """Return the name of a person's server.

    Behind ``prefix`` it is a system user's name, so it can't be long; a longer one is cut and ends with a digest.
    """
    name = f"wb-{person}"
    room = LONGEST_USER - len(prefix)
    if len(name) <= room:
        return name
    digest = hashlib.sha256(person.encode()).hexdigest()[:6]
    return f"{name[: room - 7].rstrip('-')}-{digest}"


def _shared(spec: JupyterLabSpec, place: _Place) -> Workload:
    """Return what is there once: the way to each server, and what is known of them from beside."""
    return Workload(
        name=SLOT,
        artifact=place.shared,
        processes=(Process("watch", ("$(PYTHON)", "$(CONFIG)/workbench_watch.py"), memory_mb=256),),
        ports=(Port("http", spec.port),),
        files=(
            *program_files(SLOT, "workbench_watch.py"),
            File("people.json", json.dumps(place.watched, indent=1) + "\n", live=True),
        ),
        environment={"WORKBENCH_PORT": str(spec.port), "WORKBENCH_PEOPLE": "$(CONFIG)/people.json"},
        probe=Probe("http", "/health", timeout_seconds=30),
        routes=(
            Route(
                PATH,
                "http",
                auth="gateway",
                slot=SLOT,
                needs=(Need("use"),),
                keep_path=True,
                body_mb=spec.upload_mb,
                servers=place.servers,
            ),
        ),
        metrics=(Metrics("http"),),
        unsaved=(".",),
    )


def _of_person(
    spec: JupyterLabSpec,
    place: _Place,
    name: str,
    person: PersonAccount,
    environment: Mapping[str, pulumi.Input[str]],
) -> Workload:
    """Return one person's server. It holds no password: the person brings it with each request."""
    door = (*place.again, "$(PYTHON)", "-I", "$(CONFIG)/workbench_door.py")
    return Workload(
        name=name,
        artifact=place.own,
        processes=(Process("server", door, spec.memory_mb, rests_mb=ASLEEP_MB, computes=True),),
        ports=place.ports,
        files=(
            File("account.json", _account(person), live=True),
            *(file for program in PROGRAMS for file in program_files(SLOT, program)),
            *(File(f"notebooks/{file.path}", file.content) for file in program_files(SLOT, "debugpy.py")),
        ),
        environment={
            **environment,
            "HOME": "$(DATA)",
            "PATH": f"{place.binaries}:/usr/bin:/bin",
            "PYTHONPATH": "$(CONFIG)/notebooks",
            "JUPYTER_RUNTIME_DIR": "$(DATA)/.run",
            "WORKBENCH_PERSON": person.user,
            "WORKBENCH_ACCOUNT": "$(CONFIG)/account.json",
            "WORKBENCH_PATH": PATH,
            "WORKBENCH_DOOR": place.door,
            "WORKBENCH_IDLE_SECONDS": str(spec.idle_minutes * 60),
            "WORKBENCH_PASSWORDS": ",".join(PASSWORDS),
            "WORKBENCH_PYTHON": f"{place.binaries}/python",
            # Another version starts it anew.
            "WORKBENCH_SOFTWARE": hashlib.sha256(lock_text(SLOT).encode()).hexdigest()[:16],
        },
        downloads=True,
        unsaved=(".run", ".cache", "**/.venv"),
        reached_by="gateway",
        volume_gb=spec.volume_gb,
    )


def _account(person: PersonAccount) -> pulumi.Output[str]:
    """Return a salted hash of a person's password; a fast one will do, see `PersonAccount`."""
    return pulumi.Output.secret(
        person.password.apply(lambda password: json.dumps(salted_hash(SLOT, person.user, password)))
    )


def _connection(inputs: Inputs, person: PersonAccount) -> dict[str, pulumi.Input[str]]:
    """Return what connects a person to the platform, as projects are, by the person's account and without databases."""
    gateway, tracking = inputs.of("gateway", GatewayOutputs), inputs.of("tracking", TrackingOutputs)
    found: dict[str, pulumi.Input[str]] = {
        "TERRACE_GATEWAY_URL": gateway.url,
        "TERRACE_GATEWAY_USER": person.user,
        "TERRACE_CA_FILE": gateway.ca_file,
        "MLFLOW_TRACKING_URI": tracking.public_url,
        "MLFLOW_TRACKING_USERNAME": person.user,
        "MLFLOW_TRACKING_SERVER_CERT_PATH": tracking.ca_file,
    }
    if features := inputs.optional("feature_store", FeatureStoreOutputs):
        found["FEATURE_STORE_URL"] = features.url
    if data := inputs.optional("data_versioning", DataVersioningOutputs):
        found |= data.connection()
    if serving := inputs.optional("serving", ServingOutputs):
        found |= serving.connection()
    if pipelines := inputs.optional("pipelines", PipelinesOutputs):
        found |= {"PIPELINES_URL": pipelines.url, "PIPELINES_USER": person.user}
    return found
