"""Pods of a plan for a cluster as processes of this machine, in a network of their own where services have names."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from terrace import certificates
from terrace.images.own import USER_ID
from tests.components.cluster import containers, file_of, named, pods, whole, with_a_person
from tests.components.recording import ENVIRONMENT as PLANNED
from tests.components.recording import ON_KUBERNETES, blueprint, plan
from tests.host.conftest import ENVIRONMENT

NETWORK = "terrace-pods"
TOOLS = {"ip": "iproute2", "curl": "curl"}  # what a bare machine may lack → its package
HOSTS = Path("/etc/netns", NETWORK, "hosts")
AS_IN_A_POD = ("setpriv", f"--reuid={USER_ID}", f"--regid={USER_ID}", "--clear-groups")
AUTHORITY = ("[authority-certificate]", "[authority]")  # what a plan has for its certificate, and for its key


class Pods:
    """The pods of a tier that has everything, one person, and all passwords' names as passwords.

    Args:
        root: Holds a folder for each pod.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "plan").mkdir()
        found = plan(blueprint(ON_KUBERNETES, root / "plan", target="kubernetes", edit=with_a_person))
        self.objects = [whole(each.inputs) for each in found if each.type.startswith("kubernetes:")]
        self._authority = certificates._authority("Terrace pods")
        self.ca_file = root / "authority" / "ca.crt"
        self._templates = dict(pods(self.objects))
        self._running: list[subprocess.Popen[bytes]] = []
        self._lay_network()

    def start(self, name: str, *only: str) -> None:
        """Write a pod's files, take its setup steps, and start its containers, or ``only`` some of each."""
        for folder in ("config", "data"):
            (self.root / name / folder).mkdir(parents=True)
        for volume in self._templates[name]["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                self._write(name, source)
        subprocess.run(["chown", "-R", f"{USER_ID}:{USER_ID}", str(self.root / name)], check=True)
        wanted = [each for each in containers(self._templates[name]) if not only or each["name"] in only]
        for container in wanted:
            if container["name"].startswith("setup-"):
                subprocess.run(**self._process(name, container), check=True, timeout=60)
            else:
                self._running.append(subprocess.Popen(**self._process(name, container)))

    def ask(self, address: str, *options: str, account: str = "") -> tuple[int, str]:
        """Ask for a page from within the network; return the status and the page."""
        who = ("--user", account) if account else ()
        words = ("curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}")
        command = ["ip", "netns", "exec", NETWORK, *words, "--cacert", str(self.ca_file), *who, *options, address]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        text, _, status = done.stdout.rpartition("\n")
        return int(status or 0), text

    def secret(self, name: str, key: str) -> str:
        """Return what a pod is given in secret."""
        return file_of(self.objects, name, key)

    def stop(self) -> None:
        """End what was started, and what that has started, and remove the network."""
        inside = subprocess.run(["ip", "netns", "pids", NETWORK], capture_output=True, text=True, check=False)
        for process in map(int, inside.stdout.split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        for started in self._running:
            started.wait(timeout=60)
        subprocess.run(["ip", "netns", "delete", NETWORK], check=False)
        shutil.rmtree(HOSTS.parent, ignore_errors=True)

    def _lay_network(self) -> None:
        if lacking := [package for program, package in TOOLS.items() if not shutil.which(program)]:
            install = ["apt-get", "install", "-qy", "--no-install-recommends", *lacking]
            subprocess.run(install, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=True)
        services = [each["metadata"] for each in self.objects if each["kind"] == "Service"]
        names = [word for each in services for word in (each["name"], f"{each['name']}.{each['namespace']}.svc")]
        HOSTS.parent.mkdir(parents=True)
        HOSTS.write_text(f"127.0.0.1 localhost {' '.join(names)}\n")
        subprocess.run(["ip", "netns", "add", NETWORK], check=True)
        subprocess.run(["ip", "-n", NETWORK, "link", "set", "lo", "up"], check=True)
        self.ca_file.parent.mkdir()
        self.ca_file.write_text(self._authority[0])

    def _write(self, name: str, source: dict[str, Any]) -> None:
        """Write the files that a pod has from a ConfigMap or a Secret."""
        ((kind, part),) = source.items()
        for item in part["items"]:
            if kind == "secret":
                text = file_of(self.objects, part["name"], item["key"])
            else:
                text = named(self.objects, "ConfigMap", part["name"])["data"][item["key"]]
            file = self.root / name / "config" / item["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            placed = self._placed(name, text)
            for planned, real in zip(AUTHORITY, self._authority, strict=True):
                placed = placed.replace(planned, real)
            file.write_text(placed)

    def _process(self, name: str, container: dict[str, Any]) -> dict[str, Any]:
        variables = {
            each["name"]: each["value"]
            if "value" in each
            else self.secret(name, each["valueFrom"]["secretKeyRef"]["key"])
            for each in container["env"]
        }
        binaries = _binaries(container["image"])
        placed = {key: self._placed(name, text.replace("$$", "$"), binaries) for key, text in variables.items()}
        words = [self._placed(name, word.replace("$$", "$"), binaries) for word in container["command"]]
        return {
            "args": ["ip", "netns", "exec", NETWORK, *AS_IN_A_POD, *words],
            "env": {"PATH": os.environ["PATH"], **placed},
            "cwd": self.root / name / "data",
        }

    def _placed(self, name: str, text: str, binaries: str = "/usr/bin") -> str:
        """Return a text with places of this machine instead of a pod's."""
        for planned, here in (
            ("/terrace/config", str(self.root / name / "config")),
            ("/terrace/data", str(self.root / name / "data")),
            (f"/etc/terrace/{PLANNED}", str(self.ca_file.parent)),
            ("/usr/local/bin", binaries),
        ):
            text = text.replace(planned, here)
        return text


def _binaries(image: str) -> str:
    """Return where this machine's platform has the software of one of the platform's own images."""
    own = re.search(r"/terrace/([a-z-]+):", image)
    return f"/opt/terrace/{ENVIRONMENT}/{own[1]}/venv/bin" if own else "/usr/bin"


@contextlib.contextmanager
def pods_on_this_machine() -> Iterator[Pods]:
    """Have pods in a folder that everybody may enter, which pytest's own aren't."""
    with tempfile.TemporaryDirectory(prefix="terrace-pods-") as name:
        root = Path(name)
        root.chmod(0o755)
        found = Pods(root)
        try:
            yield found
        finally:
            found.stop()
