"""A machine that keeps backups: Debian's SSH server, and an account that has SFTP in one folder and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.host.machines import Machine, machines

ACCOUNT = "keeper"
PORT = 2222
FOLDER = "/backups"  # as the account sees it, which is held in /mnt
SERVER = f"""\
Port {PORT}
PidFile /run/keeper.pid
HostKey /etc/ssh/keeper_key
AuthorizedKeysFile /etc/ssh/keeper_lines
PasswordAuthentication no
UsePAM no
Subsystem sftp internal-sftp
AllowUsers {ACCOUNT}
ChrootDirectory /mnt
ForceCommand internal-sftp
DisableForwarding yes
"""
MAKE = f"""
set -eu
useradd --home-dir /nonexistent --shell /usr/sbin/nologin --password '*' {ACCOUNT}
install --directory --owner={ACCOUNT} --mode=0700 /mnt{FOLDER}
printf '%s' "$1" > /etc/ssh/keeper_config
touch /etc/ssh/keeper_lines
"""
STOP = 'kill "$(cat /run/keeper.pid)"; while [ -e /run/keeper.pid ]; do sleep 0.1; done'


@dataclass(frozen=True)
class Keeper:
    """The machine, whose server can be given another key.

    Attributes:
        machine: The machine.
        folder: The account's folder, as this machine sees it.
    """

    machine: Machine
    folder: Path

    @property
    def address(self) -> str:
        """The folder, as `terrace restore --from` reads it."""
        return f"{ACCOUNT}@{self.machine.address}:{FOLDER}"

    @property
    def place(self) -> str:
        """What the spec says of it."""
        options = f"address: {self.machine.address}, port: {PORT}, user: {ACCOUNT}, path: {FOLDER}"
        return f"{{{options}, host_key: {self.host_key}}}"

    @property
    def host_key(self) -> str:
        """Its server's public key."""
        return " ".join(self.machine.run("cat", "/etc/ssh/keeper_key.pub").stdout.split()[:2])

    def let_in(self, line: str) -> None:
        """Let just this key in."""
        self.machine.run("sh", "-c", 'printf "%s\\n" "$1" > /etc/ssh/keeper_lines', "sh", line)

    @contextmanager
    def another_host_key(self) -> Iterator[None]:
        """Let the server have another key, as one that somebody else puts in its place."""
        self.machine.run("sh", "-c", f"{STOP}; cd /etc/ssh; mv keeper_key kept_key; mv keeper_key.pub kept_key.pub")
        self.start()
        try:
            yield
        finally:
            self.machine.run("sh", "-c", f"{STOP}; cd /etc/ssh; mv kept_key keeper_key; mv kept_key.pub keeper_key.pub")
            self.start()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let nobody reach it."""
        self.machine.unplug()
        try:
            yield
        finally:
            self.machine.unplug(back=True)

    def start(self) -> None:
        """Let its server run, with a key that is made where it has none."""
        generate = "ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/keeper_key"
        self.machine.run("sh", "-c", f"[ -e /etc/ssh/keeper_key ] || {generate}")
        self.machine.run("/usr/sbin/sshd", "-f", "/etc/ssh/keeper_config")


@contextmanager
def keeper(folder: Path) -> Iterator[Keeper]:
    """Make the machine, and take it away at the end."""
    with machines(folder, "keeper", changing=True) as made:
        machine = made["keeper"]
        machine.run("sh", "-c", MAKE, "sh", SERVER)
        found = Keeper(machine, machine.folder / "mnt" / FOLDER.strip("/"))
        found.start()
        yield found
