"""What a long-running service needs, with no word of where it runs.

A flavor describes a :class:`Workload`; a target realises it. In commands, files, and environment values a workload
names places only by these variables, which each target replaces before anything runs:

- ``$(BIN)`` the folder of the artifact's executables,
- ``$(CONFIG)`` the folder that holds the workload's files,
- ``$(DATA)`` the folder that outlives restarts and upgrades,
- ``$(SOCKET)`` the Unix socket that ``reached_by`` gives it on a host,
- ``$(PYTHON)`` the Python beside the artifact, for programs that need no library,
- ``$(LISTEN)`` the address that its ports listen on. Its processes reach each other on loopback everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pulumi

from terrace.rights import Right


@dataclass(frozen=True)
class Artifact:
    """The software itself, once per kind of target.

    Args:
        lock: Name of a hash-locked requirements file, ``components/locks/<lock>.txt``, for a Python service.
        packages: Debian packages, for a service that the distribution maintains.
        image: Name of an upstream image in ``components/images.yaml``, which it runs in on Kubernetes; without, that is
            the platform's own image with the lock, or with Python alone where there is no lock.
        package: The package of the lock whose version is the service's; the service then has the lock's name.
        one_way: What a later version of it changes for good, so that an earlier one can't read it any more; empty
            where an earlier version can come back. Tests move it up and back to show that.
    """

    lock: str | None = None
    packages: tuple[str, ...] = ()
    package: str = ""
    one_way: str = ""
    image: str = ""


@dataclass(frozen=True)
class Port:
    """A TCP port that a process listens on; on a host it is bound to loopback, on Kubernetes to the pod's address.

    ``public`` says that it is the platform's entrance: whoever reaches the address may connect.
    """

    name: str
    number: int
    public: bool = False


@dataclass(frozen=True)
class Process:
    """One process that is kept running.

    Args:
        name: Unique within the workload.
        command: The program and its arguments; never holds a secret.
        memory_mb: The most memory (MiB) that one operating-system process of it may take.
        stop_seconds: How long it may take to end by itself after SIGTERM.
        copies: How many operating-system processes of it take that memory.
        image: Name of the upstream image that it runs in on Kubernetes, where that isn't the artifact's.
        rests_mb: The memory (MiB) that is kept free for it on Kubernetes, where that isn't half of the most.
        computes: Whether it's the process that the slot's accelerators are for, on Kubernetes.
    """

    name: str
    command: tuple[str, ...]
    memory_mb: int
    stop_seconds: int = 20
    copies: int = 1
    image: str = ""
    rests_mb: int = 0
    computes: bool = False


@dataclass(frozen=True)
class SetupStep:
    """A command that prepares the workload (a migration, say) before its processes start.

    It runs as the workload's user whenever the workload's artifact, files, or environment changed, so it must
    be safe to repeat.

    Args:
        name: Unique within the workload.
        command: The program and its arguments; never holds a secret.
        live: Whether it runs after a change of a live file alone, too, while the processes go on. On Kubernetes, where
            setup runs before a pod's processes, such a change replaces the pod.
        image: Name of the upstream image that it runs in on Kubernetes, where that isn't the artifact's.
    """

    name: str
    command: tuple[str, ...]
    live: bool = False
    image: str = ""


@dataclass(frozen=True)
class File:
    """A file in ``$(CONFIG)``, readable by the workload's user alone.

    A change restarts the processes, unless the file is ``live``: they read it anew themselves, or a live setup step
    makes them.
    """

    path: str
    content: pulumi.Input[str]
    live: bool = False


@dataclass(frozen=True)
class Probe:
    """How to see that the workload is healthy: an HTTP GET answered with ``status``.

    ``alive`` is a page that is answered as long as the process works, where ``path`` also tells of what it needs:
    once it has come up, Kubernetes goes by that, so that nothing is started anew for the fault of something else.
    """

    port: str
    path: str
    status: int = 200
    timeout_seconds: int = 120
    alive: str = ""


READING = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True)
class Need:
    """The right that requests need.

    Args:
        right: The lowest right that allows them.
        methods: Their methods; any where it's empty.
        path: Their whole path below the route; any where it's empty.
    """

    right: Right
    methods: tuple[str, ...] = ()
    path: str = ""


@dataclass(frozen=True)
class Act:
    """What the audit log is told of some requests to a route.

    Args:
        request: A pattern of a whole «METHOD path»; its group, if it has one, is what something was done to.
        action: What was done, ``predict``; empty where nothing is told, as of pages that anybody is answered.
        slot: The slot that they belong to, where it isn't the route's.
    """

    request: str
    action: str
    slot: str = ""


@dataclass(frozen=True)
class Route:
    """A path of the gateway that leads to the workload.

    Args:
        path: Begins and ends with a slash, ``/mlflow/``.
        port: Name of the port that it leads to.
        auth: ``gateway`` when the gateway asks for an account and its right, ``own`` when the workload itself does.
        slot: The slot that requests belong to, and whose rights count where the gateway asks for an account. Of a
            route of none, the audit log is told nothing.
        needs: What requests need of a person; of several that fit, the first counts. What none fits, no person may.
        keep_path: Whether the workload sees the path as the client sent it.
        body_mb: The largest request body (MiB) that is let through.
        hidden: Paths below it that are not let through: what is for the machine alone.
        servers: Where people's own servers are, ``unix:PATH`` or ``HOST:PORT`` by account. Each gets its person's
            requests with the account that they came with, and with the path as it was sent; all others' requests go to
            ``port``.
        shows: Name of a file of the gateway's own with headers by which the workload knows it.
        names_account: Whether the workload, which asks for accounts itself, says in its answers' header
            ``Terrace-Account`` whose asked. The gateway takes that for its log alone. Without, it's the name that was
            typed.
        reads: Whether it's data that is read there, so that the audit log is told of reading, too.
        acts: What the audit log is told; of several that fit, the first counts, and what none fits is «read» or
            «change» by its method.
    """

    path: str
    port: str
    auth: Literal["gateway", "own"]
    slot: str = ""
    needs: tuple[Need, ...] = (Need("read", READING), Need("edit"))
    keep_path: bool = False
    body_mb: int = 16
    hidden: tuple[str, ...] = ()
    servers: Mapping[str, str] = field(default_factory=dict)
    shows: str = ""
    names_account: bool = False
    reads: bool = False
    acts: tuple[Act, ...] = ()


@dataclass(frozen=True)
class Metrics:
    """A page of Prometheus metrics."""

    port: str
    path: str = "/metrics"


@dataclass(frozen=True)
class Workload:
    """A service with everything that it needs.

    ``environment`` is plain, ``secrets`` is not; processes and setup steps see both. ``downloads`` says that it
    installs Python packages while it runs; the target then gives it the package index and the proxy. ``unsaved`` names
    what a backup leaves out of ``$(DATA)``, by paths in it or patterns: what is made anew by itself, or saved in
    another way; ``.`` is all of it. ``reads_all`` lets its processes read what every other service keeps.
    ``grows`` says that what it keeps is only ever added to, so that a restore leaves what is there.
    ``reached_by`` names the one service that connects to it beside its routes: on a host by the Unix socket
    ``$(SOCKET)``, which its process makes and that one alone may open, on Kubernetes by its ports.
    ``volume_gb`` is the size (GiB) of the volume that ``$(DATA)`` is on Kubernetes, of what can't be made anew there;
    without, ``$(DATA)`` goes with the pod. ``replicas`` is how many pods there are of it, where it has no volume: any
    of them answers any request. ``outside`` are addresses outside of the platform that it connects to.
    """

    name: str
    artifact: Artifact
    processes: tuple[Process, ...]
    ports: tuple[Port, ...] = ()
    setup: tuple[SetupStep, ...] = ()
    files: tuple[File, ...] = ()
    environment: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    secrets: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    probe: Probe | None = None
    routes: tuple[Route, ...] = ()
    metrics: tuple[Metrics, ...] = ()
    downloads: bool = False
    unsaved: tuple[str, ...] = ()
    reads_all: bool = False
    grows: bool = False
    reached_by: str = ""
    volume_gb: int = 0
    replicas: int = 1
    outside: tuple[str, ...] = ()

    def port(self, name: str) -> int:
        """Return the number of the port called ``name``."""
        return next(port.number for port in self.ports if port.name == name)
