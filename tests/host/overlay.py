"""A machine of a test's own: this one's files seen through an overlay, so that nothing here changes.

Its kernel settings and modules are copies in memory, which a role can read and write like the kernel's. What a role
does there is real otherwise: packages, users, files, programs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import testinfra.backend.base
from testinfra.host import Host

ROOT = Path(__file__).parents[2]
SETUP = """
set -eu
mount -t tmpfs overlay "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cp -a /etc "$1/etc"
mount --bind "$1/etc" "$1/root/etc"
cd "$1/root"
mkdir -p ".$2"
mount --bind "$2" ".$2"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs settings "$1/work"
cp -r /proc/sys/fs /proc/sys/kernel /proc/sys/net "$1/work" 2>/dev/null || true
mount --move "$1/work" proc/sys
mount --rbind /sys sys
mount -t tmpfs modules sys/module
mkdir -p sys/module/overlay
mount -t tmpfs devices sys/bus/pci/devices
mount -t tmpfs run run
mkdir -p run/lock
echo ready
exec sleep infinity
"""


@dataclass(frozen=True)
class Machine:
    """The machine, entered through the process that holds its mounts."""

    holder: int
    root: Path

    def command(self, *command: str) -> list[str]:
        """Return what runs ``command`` there."""
        return ["nsenter", f"--mount=/proc/{self.holder}/ns/mnt", "chroot", str(self.root), *command]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there."""
        environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        done = subprocess.run(
            self.command(*command),
            env={**environment, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
        return done

    def write(self, path: str, text: str, mode: str = "0644") -> None:
        """Write a file there."""
        self.run(
            "sh", "-c", 'mkdir -p "$(dirname "$1")" && printf %s "$2" > "$1" && chmod "$3" "$1"', "sh", path, text, mode
        )

    def play(self, playbook: str, variables: Mapping[str, Any], *options: str) -> tuple[int, str]:
        """Run a playbook there; return the number of changes, and what it printed.

        Raises:
            AssertionError: It failed; what it printed says why.
        """
        self.write("/run/variables.json", json.dumps(variables), "0600")
        done = self.run(
            "env",
            f"ANSIBLE_CONFIG={ROOT}/ansible/ansible.cfg",
            "ANSIBLE_NOCOLOR=1",
            str(Path(sys.executable).with_name("ansible-playbook")),
            "--inventory=machine,",
            "--connection=local",
            "--extra-vars=@/run/variables.json",
            f"{ROOT}/{playbook}",
            *options,
        )
        recap = re.search(r"changed=(\d+)", done.stdout)
        assert recap, done.stdout
        return int(recap[1]), done.stdout

    def host(self) -> Host:
        """Return the machine as testinfra sees it."""
        return Host(_Backend(self))


class _Backend(testinfra.backend.base.BaseBackend):
    """Runs testinfra's commands on such a machine."""

    NAME = "overlay"

    def __init__(self, machine: Machine) -> None:
        super().__init__("machine")
        self._machine = machine

    def run(self, command: str, *args: str, **_kwargs: Any) -> testinfra.backend.base.CommandResult:
        return self.run_local(
            " ".join(
                self.quote("%s", word) for word in self._machine.command("sh", "-c", self.get_command(command, *args))
            )
        )


@contextmanager
def machine(folder: Path) -> Iterator[Machine]:
    """Make a machine below ``folder``, and take it away at the end."""
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", SETUP, "sh", str(folder), str(ROOT)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout
        assert holder.stdout.readline() == "ready\n", "the machine could not be made"
        yield Machine(holder.pid, folder / "root")
    finally:
        holder.kill()
        holder.communicate()
