"""A machine for backups that isn't the host: Debian's SSH server on loopback, with an account, a key, and a folder."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.backup.parts import ssh_place
from components.backup.parts.ssh_place import SshPlace
from components.backup.programs.backup_agent.places import Access, Place
from terrace.ssh_key import pair
from tests.host.machine import wait_for

FIRST_PORT = 42_000
PACKAGES = {"sshd": ("openssh-server", "libwrap0"), "restic": ("restic",)}
ROOT = os.geteuid() == 0
# As on a host: the agent's user reads the key, which is root's; and the account there is somebody else's.
AGENT, ACCOUNT = ("daemon", "nobody") if ROOT else (getpass.getuser(), getpass.getuser())
SERVER = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM yes
StrictModes no
PidFile none
{subsystem}
"""


@dataclass(frozen=True)
class Programs:
    """Debian's programs, as they are installed, or else unpacked here alone.

    Args:
        sshd: The SSH server.
        restic: restic.
        libraries: Where libraries of what is unpacked are; None where all is installed.
    """

    sshd: Path
    restic: Path
    libraries: Path | None


@contextmanager
def programs() -> Iterator[Programs]:
    """Give the programs, and take away at the end what had to be unpacked.

    Raises:
        AssertionError: One is neither here nor to be had.
    """
    with tempfile.TemporaryDirectory(prefix="terrace-packages-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server runs as somebody else
        sshd, restic = (_program(each, folder) for each in ("sshd", "restic"))
        yield Programs(sshd, restic, next(folder.glob("root/usr/lib/*-linux-gnu"), None))


def _program(name: str, folder: Path) -> Path:
    found = shutil.which(name, path=f"{os.defpath}:/usr/sbin")
    if found:
        return Path(found)
    downloads = folder / name
    downloads.mkdir()
    get = ["apt-get", "--quiet", "-o", "APT::Sandbox::User=root", "download", *PACKAGES[name]]
    done = subprocess.run(get, cwd=downloads, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"install {' and '.join(PACKAGES[name])}, which can't be downloaded: {done.stderr}"
    for package in downloads.glob("*.deb"):
        subprocess.run(["dpkg", "--extract", str(package), str(folder / "root")], check=True)
    return next((folder / "root").glob(f"usr/*bin/{name}"))


class Machine:
    """The machine; its files lie where its account gets at them.

    Attributes:
        folder: Its files.
        backups: The folder that the account may write to.
        line: What lets the platform's key in.
    """

    def __init__(self, programs: Programs) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="terrace-machine-"))
        self.folder.chmod(0o755)
        self.backups = self.folder / "backups"
        self.backups.mkdir()
        self.port = _free_port()
        self._programs = programs
        self._server: subprocess.Popen[bytes] | None = None
        public, private = pair()
        self.line = ssh_place.authorized_key(public, "case")
        self.allow(self.line)
        self._make_host_key()
        self._give_to_the_account(self.backups)
        self._platform(private)

    def allow(self, line: str) -> None:
        """Let just this key in."""
        (self.folder / "authorized_keys").write_text(f"{line}\n")

    def place(self, *parts: str) -> Place:
        """Return the folder for backups, or one in it, as the agent knows it."""
        access = Access(f"{ACCOUNT}@127.0.0.1", self.folder / "platform" / "ssh", AGENT, "case")
        return Place(self.backups.joinpath(*parts), access)

    def start(self, subsystem: str = "Subsystem sftp internal-sftp") -> None:
        """Let its SSH server run."""
        (self.folder / "config").write_text(SERVER.format(port=self.port, folder=self.folder, subsystem=subsystem))
        become = ["setpriv", f"--reuid={ACCOUNT}", f"--regid={_group(ACCOUNT)}", "--clear-groups"] if ROOT else []
        libraries = self._programs.libraries
        unpacked = ["env", f"LD_LIBRARY_PATH={libraries}"] if libraries else []
        once = ["-r"] if libraries else []  # begun anew for each connection, it would lose the variable
        command = [*become, *unpacked, str(self._programs.sshd), *once, "-D", "-e", "-f", str(self.folder / "config")]
        with (self.folder / "log").open("wb") as log:
            self._server = subprocess.Popen(command, stderr=log)
        wait_for(lambda: "listening" in (self.folder / "log").read_text(), 30)

    def stop(self) -> None:
        """Let nobody reach it."""
        if self._server:
            self._server.terminate()
            self._server.wait()
            self._server = None

    def make_anew(self) -> None:
        """Give it another host key, as an installation does."""
        self.stop()
        (self.folder / "host_key").unlink()
        self._make_host_key()
        self.start()

    def remove(self) -> None:
        """Take it away."""
        self.stop()
        shutil.rmtree(self.folder)

    def _make_host_key(self) -> None:
        public, private = pair()
        (self.folder / "host_key.pub").write_text(public)
        (self.folder / "host_key").write_text(private)
        (self.folder / "host_key").chmod(0o600)
        self._give_to_the_account(self.folder / "host_key")

    def _give_to_the_account(self, path: Path) -> None:
        if ROOT:
            shutil.chown(path, ACCOUNT, _group(ACCOUNT))

    def _platform(self, key: str) -> None:
        """Write what a platform's host has to reach it, as the role `service` does."""
        host_key = (self.folder / "host_key.pub").read_text()
        about = SshPlace(address="127.0.0.1", port=self.port, user=ACCOUNT, host_key=host_key, path=str(self.backups))
        ssh = self.folder / "platform" / ssh_place.FOLDER
        ssh.mkdir(parents=True)
        for name, text in {**ssh_place.configuration(about), "key": key}.items():
            (ssh / name).write_text(text.replace("$(CONFIG)", str(ssh.parent)))
            (ssh / name).chmod(0o640 if ROOT else 0o600)
            shutil.chown(ssh / name, group=_group(AGENT))


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def _free_port() -> int:
    for port in range(FIRST_PORT, FIRST_PORT + 1000):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no port is free")
