"""A real control plane on loopback: etcd, the API server, its controllers and scheduler; kwok plays the nodes."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, Configuration

from tests.kubernetes.binaries import CONTROL_PLANE, Say, built
from tests.kubernetes.keys import Keys

_STAGES = Path(__file__).parent / "stages.yaml"
_NODES = 3
_START_SECONDS = 120


class StartError(Exception):
    """A part of the control plane didn't come up."""


class ControlPlane:
    """One control plane; everything of it is in one folder and on loopback.

    Args:
        folder: Where its data, keys, and logs go.
        programs: Where its programs are.
    """

    def __init__(self, folder: Path, programs: dict[str, Path]) -> None:
        self._folder = folder
        self.programs = programs
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._keys = Keys(folder / "keys")
        self._port = _free_port()
        self.kubeconfig = self.write_kubeconfig("admin", self._keys.issue("admin", "system:masters"))

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._start_store_and_server()
        self._wait("/readyz")
        for name, flags in {
            "kube-controller-manager": (
                f"--service-account-private-key-file={self._keys.folder}/server.key",
                f"--root-ca-file={self._keys.authority}",
                "--use-service-account-credentials",
            ),
            "kube-scheduler": ("--authentication-skip-lookup",),
        }.items():
            kubeconfig = self.write_kubeconfig(name, self._keys.issue(f"system:{name}"))
            self._run(name, f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--secure-port=0", *flags)
        certificate, key = self._keys.issue("kwok", "system:masters")
        kubeconfig = self.write_kubeconfig("kwok", (certificate, key))
        port = _free_port()
        self._run(
            "kwok",
            f"--kubeconfig={kubeconfig}",
            f"--config={_STAGES}",
            "--manage-all-nodes",
            "--node-lease-duration-seconds=200",
            f"--node-port={port}",
            f"--server-address=127.0.0.1:{port}",
            "--node-ip=127.0.0.1",
            f"--tls-cert-file={certificate}",
            f"--tls-private-key-file={key}",
        )
        self._make_nodes()

    def stop(self) -> None:
        for _, process in self._processes:
            process.kill()  # nothing of it is kept, so nothing needs to end in good order
        for _, process in self._processes:
            process.wait()

    def request(self, method: str, path: str, body: Any = None, *, content: str = "application/json") -> Any:
        """What the server answers the administrator; None if there is no such thing."""
        configuration = Configuration()
        configuration.host = self.server
        configuration.retries = False
        configuration.ssl_ca_cert = str(self._keys.authority)
        configuration.cert_file = str(self._keys.folder / "admin.crt")
        configuration.key_file = str(self._keys.folder / "admin.key")
        with ApiClient(configuration) as client:
            response = client.call_api(method, self.server + path, {"Content-Type": content}, body)
            data = response.read()
        if response.status == 404:
            return None
        if response.status >= 300:
            raise AssertionError(f"{method} {path}: {response.status} {data.decode()}")
        return json.loads(data) if data.startswith(b"{") else data.decode()

    def issue(self, user: str, *groups: str, days: float = 1.0) -> Path:
        """A kubeconfig of a user's own."""
        return self.write_kubeconfig(user, self._keys.issue(user, *groups, days=days))

    def write_kubeconfig(self, user: str, files: tuple[Path, Path], **context: str) -> Path:
        """A kubeconfig for a certificate and its key."""
        certificate, key = map(str, files)
        cluster = {"server": self.server, "certificate-authority": str(self._keys.authority)}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "tests",
            "clusters": [{"name": "tests", "cluster": cluster}],
            "users": [{"name": user, "user": {"client-certificate": certificate, "client-key": key}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": user, **context}}],
        }
        path = self._folder / f"{user.replace(':', '-')}.kubeconfig"
        path.write_text(json.dumps(content), encoding="utf-8")  # JSON is YAML
        return path

    def _start_store_and_server(self) -> None:
        certificate, key = self._keys.issue("server")
        store = self._start_store(certificate, key)
        signing = ("--service-account-key-file", "--service-account-signing-key-file", "--tls-private-key-file")
        self._run(
            "kube-apiserver",
            f"--etcd-servers={store}",
            f"--etcd-cafile={self._keys.authority}",
            f"--etcd-certfile={certificate}",
            f"--etcd-keyfile={key}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            "--external-hostname=localhost",
            f"--secure-port={self._port}",
            f"--tls-cert-file={certificate}",
            f"--client-ca-file={self._keys.authority}",
            "--service-account-issuer=https://kubernetes.default.svc",
            *(f"{flag}={key}" for flag in signing),
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--enable-admission-plugins=PodSecurity,ResourceQuota",
            "--endpoint-reconciler-type=none",
            f"--kubelet-client-certificate={certificate}",
            f"--kubelet-client-key={key}",
            "--kubelet-preferred-address-types=InternalIP",
        )

    def _start_store(self, certificate: Path, key: Path) -> str:
        """Start etcd; returns its address."""
        store, peers = (f"https://127.0.0.1:{_free_port()}" for _ in range(2))
        tls = (f"--cert-file={certificate}", f"--key-file={key}", f"--trusted-ca-file={self._keys.authority}")
        self._run(
            "etcd",
            f"--data-dir={self._folder}/etcd",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls={peers}",
            f"--initial-advertise-peer-urls={peers}",
            f"--initial-cluster=default={peers}",
            "--client-cert-auth",
            "--peer-client-cert-auth",
            "--unsafe-no-fsync",
            *tls,
            *(flag.replace("--", "--peer-", 1) for flag in tls),
        )
        return store

    def _run(self, name: str, *flags: str) -> None:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [self.programs[name], *flags], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder
            )
        self._processes.append((name, process))

    def _wait(self, path: str) -> None:
        end = time.monotonic() + _START_SECONDS
        while True:
            self._require_running()
            with contextlib.suppress(Exception):  # anything at all, until it is up
                if self.request("GET", path) is not None:
                    return
            if time.monotonic() > end:
                raise StartError(f"{path} doesn't answer:\n{self._log('kube-apiserver')}")
            time.sleep(0.2)

    def _require_running(self) -> None:
        for name, process in self._processes:
            if process.poll() is not None:
                raise StartError(f"{name} ended with {process.returncode}:\n{self._log(name)}")

    def _log(self, name: str) -> str:
        lines = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(lines[-30:])

    def _make_nodes(self) -> None:
        for number in range(_NODES):
            capacity = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
            node = {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": {"name": f"node-{number}", "labels": {"kubernetes.io/hostname": f"node-{number}"}},
                "status": {"capacity": capacity, "allocatable": capacity},
            }
            self.request("POST", "/api/v1/nodes", node)
        end = time.monotonic() + _START_SECONDS
        while not (
            self._are_nodes_ready() and self.request("GET", "/api/v1/namespaces/default/serviceaccounts/default")
        ):
            self._require_running()
            if time.monotonic() > end:
                raise StartError(f"nodes or controllers don't come up:\n{self._log('kwok')}")
            time.sleep(0.2)

    def _are_nodes_ready(self) -> bool:
        nodes = self.request("GET", "/api/v1/nodes")["items"]
        return len(nodes) == _NODES and all(
            any(item["type"] == "Ready" and item["status"] == "True" for item in node["status"].get("conditions") or [])
            and not node["spec"].get("taints")
            for node in nodes
        )


@contextlib.contextmanager
def running(folder: Path, say: Say) -> Iterator[ControlPlane]:
    """A control plane while the block runs."""
    plane = ControlPlane(folder, built(CONTROL_PLANE, say))
    try:
        plane.start()
        yield plane
    finally:
        plane.stop()


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
