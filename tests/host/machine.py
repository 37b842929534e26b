"""What the tests ask this machine: processes, listening sockets, and what an environment has left on it."""

from __future__ import annotations

import pwd
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LISTENING = "0A"
PATIENCE = 3  # how many times longer than on a quiet machine something may take
# Prints which ports of an address accept a connection from its user: `true`, or `false` for a refusal.
CONNECT = """
import json, socket, sys
found = {}
for port in sys.argv[2:]:
    with socket.socket() as client:
        client.settimeout(10)
        try:
            client.connect((sys.argv[1], int(port)))
            found[port] = True
        except ConnectionRefusedError:
            found[port] = False
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Process:
    """A process: its number, and the name of the user that it runs as."""

    pid: int
    user: str

    @property
    def command(self) -> str:
        """Its command line."""
        return Path(f"/proc/{self.pid}/cmdline").read_text(errors="replace").replace("\0", " ")


def users(environment: str) -> list[str]:
    """Return the system users of an environment."""
    return [user.pw_name for user in pwd.getpwall() if user.pw_name.startswith(f"terrace-{environment}-")]


def processes(environment: str) -> list[Process]:
    """Return the processes of an environment's users."""
    names = {pwd.getpwnam(name).pw_uid: name for name in users(environment)}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            uid = folder.stat().st_uid
            if uid in names and "State:\tZ" not in (folder / "status").read_text():
                found.append(Process(int(folder.name), names[uid]))
        except OSError:
            continue
    return found


def _sockets() -> list[tuple[int, str, int]]:
    """Return port, address (as the kernel writes it), and uid of every listening TCP socket."""
    lines = [
        line.split() for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()[1:]
    ]
    found = [(words[1].rpartition(":"), int(words[7])) for words in lines if words[3] == LISTENING]
    return [(int(port, 16), address, uid) for (address, _, port), uid in found]


def listeners(environment: str) -> dict[int, set[str]]:
    """Return the ports that an environment's users listen on, with the addresses (as the kernel writes them)."""
    uids = {pwd.getpwnam(name).pw_uid for name in users(environment)}
    found: dict[int, set[str]] = {}
    for port, address, uid in _sockets():
        if uid in uids:
            found.setdefault(port, set()).add(address)
    return found


def open_ports() -> set[int]:
    """Return the ports that anybody listens on."""
    return {port for port, _, _ in _sockets()}


def folders(environment: str) -> list[Path]:
    """Return the folders of an environment that are there, its data's last."""
    roots = ("/etc", "/opt", "/run", "/var/log", "/var/lib")
    return [path for root in roots if (path := Path(root, "terrace", environment)).exists()]


@dataclass(frozen=True)
class Changes:
    """What an environment's manifest says that came with it, and whether the machine has no other environment.

    Packages that were there before it are not among them, and neither are those that hold what somebody made.
    """

    packages: set[str]
    masked: list[Path]
    alone: bool


def changes(environment: str) -> Changes:
    """Read them; the end of the environment undoes them."""
    manifest = Path("/etc/terrace", environment, "manifest.d")
    noted = [
        file.read_text().split() if file.is_file() else [] for file in (manifest / "packages", manifest / "masked")
    ]
    others = [folder for folder in Path("/etc/terrace").iterdir() if folder.name != environment]
    return Changes(set(noted[0]), [Path(line) for line in noted[1] if line.startswith("/etc/systemd")], not others)


def installed_packages() -> set[str]:
    """Return the names of the packages that are installed or have left their configuration."""
    shown = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {line.split()[0] for line in shown.stdout.splitlines() if not line.endswith(" not-installed")}


def supervisor_status(environment: str) -> dict[str, str]:
    """Return the state of each of an environment's programs."""
    configuration = f"/etc/terrace/{environment}/supervisor/supervisord.conf"
    done = subprocess.run(["supervisorctl", "-c", configuration, "status"], capture_output=True, text=True, check=False)
    return {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}


def program_pids(environment: str) -> dict[str, int]:
    """Return the process of each of an environment's programs that run."""
    configuration = f"/etc/terrace/{environment}/supervisor/supervisord.conf"
    done = subprocess.run(["supervisorctl", "-c", configuration, "status"], capture_output=True, text=True, check=False)
    return {line.split()[0]: int(m[1]) for line in done.stdout.splitlines() if (m := re.search(r"pid (\d+)", line))}


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition holds: as many seconds as it may take on a quiet machine, and longer on a busy one."""
    deadline = time.monotonic() + PATIENCE * seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {PATIENCE * seconds} s"
        time.sleep(0.3)
