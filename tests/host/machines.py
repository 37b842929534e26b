"""Machines of the tests' own: Debian's SSH server in namespaces, on a network of their own.

Each sees this machine's files through an overlay, has processes and an address of its own, and lives until it is
taken away: then nothing of it is left. The kernel wants what is below an overlay to stay as it is, and a program whose
package goes meanwhile fails on the machines in strange ways: so no environment here installs or removes packages.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.host.machine import wait_for

NETWORK = "10.231.77"
PROXY_PORT = 3128
PROXY = f"http://{NETWORK}.1:{PROXY_PORT}"
BRIDGE = "terrace-rmte"
PACKAGES_LOCK = Path("/run/lock/terrace-packages.lock")  # taken by whoever changes packages
PACKAGES = ("openssh-server", "openssh-sftp-server", "libwrap0")
SSHD = """\
HostKey /etc/ssh/test_host_key
AuthorizedKeysFile /etc/ssh/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
StrictModes no
"""
# The first process of a machine: makes its files, waits for its network, and starts its SSH server.
INIT = """
set -eu
mount -t tmpfs upper "$1"
mkdir "$1/upper" "$1/work" "$1/root"
cp -a "$2" "$1/packages"
mount -t overlay overlay -o "lowerdir=$1/packages:/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cp -a /etc "$1/etc"
rm -rf "$1/etc/terrace"
cp -a "$3/." "$1/etc/ssh/"
mount --bind "$1/etc" "$1/root/etc"
mkdir -p "$1/root/mnt" "$4"
mount --bind "$4" "$1/root/mnt"
cd "$1/root"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
mount -t tmpfs run run
mkdir -p run/lock run/sshd
grep -q ^sshd: etc/passwd || echo "sshd:x:74:65534::/run/sshd:/usr/sbin/nologin" >> etc/passwd
echo "$5" > etc/hostname
hostname "$5"
echo "127.0.0.1 localhost $5" > etc/hosts
echo made
read -r _
ip link set lo up
ip link set eth0 up
chroot . /usr/sbin/sshd -f /etc/ssh/test_config
echo ready
trap "" CHLD  # so that the kernel buries what nobody waits for
exec chroot . sleep infinity
"""


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


@dataclass
class Machine:
    """A machine that can be lost and made anew.

    Attributes:
        name: Its name.
        number: The last part of its address.
        folder: Holds its files, and what outlives it.
    """

    name: str
    number: int
    folder: Path
    _holder: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """Its address."""
        return f"{NETWORK}.{self.number}"

    @property
    def host_key(self) -> str:
        """Its SSH server's public key."""
        return " ".join((self.folder / "ssh" / "test_host_key.pub").read_text().split()[:2])

    @property
    def init(self) -> int:
        """The number of its first process, as this machine counts."""
        assert self._holder
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().split()
        return int(children[0])

    def start(self) -> None:
        """Make it, without anything that an earlier one of this name held but its keys and its /mnt."""
        root, ssh = self.folder / "root", self.folder / "ssh"
        root.mkdir(parents=True, exist_ok=True)
        # It ends with the tests, however they end.
        unshare = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--net", "--uts", "--fork"]
        unshare += ["--kill-child", "--propagation=private"]
        places = (str(root), str(self.folder.parent / "packages"), str(ssh), str(self.folder / "mnt"), self.name)
        self._holder = subprocess.Popen(
            [*unshare, "sh", "-c", INIT, "sh", *places], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._expect("made")
        self._connect()
        assert self._holder.stdin
        self._holder.stdin.write("go\n")
        self._holder.stdin.flush()
        self._expect("ready")

    def stop(self) -> None:
        """Lose it: its processes, its network, and its files."""
        if self._holder:
            init = Path(f"/proc/{self.init}")
            self._holder.kill()
            self._holder.communicate()
            self._holder = None
            wait_for(lambda: not init.exists(), 30)
            # Connections that are still being closed would keep its network for a while.
            subprocess.run(["ip", "link", "delete", self._plug], check=False, capture_output=True)

    def unplug(self, *, back: bool = False) -> None:
        """Take its network away, or bring it back."""
        _run("ip", "link", "set", self._plug, "up" if back else "down")

    def command(self, *command: str) -> list[str]:
        """Return what runs ``command`` there, without SSH."""
        inside = ("nsenter", f"--target={self.init}", "--mount", "--pid", "--net", "--uts")
        return [*inside, "chroot", str(self.folder / "root" / "root"), *command]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command there, without SSH."""
        done = subprocess.run(
            self.command(*command), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
        return done

    @property
    def _plug(self) -> str:
        return f"rmte-{self.number}"

    def _connect(self) -> None:
        peer = ("peer", "name", "eth0", "address", f"02:00:00:00:77:{self.number:02x}", "netns", str(self.init))
        _run("ip", "link", "add", self._plug, "type", "veth", *peer)
        _run("ip", "link", "set", self._plug, "master", BRIDGE, "up")
        net = ("nsenter", f"--target={self.init}", "--net")
        _run(*net, "ip", "address", "add", f"{self.address}/24", "dev", "eth0")

    def _expect(self, word: str) -> None:
        assert self._holder
        assert self._holder.stdout
        said = self._holder.stdout.readline()
        assert said == f"{word}\n", f"{self.name} could not be made: {said}"


@contextmanager
def machines(folder: Path, *names: str, changing: bool = False) -> Iterator[dict[str, Machine]]:
    """Make machines on a network of their own, with a proxy to packages; take all of it away at the end.

    Args:
        folder: Holds their files.
        names: Their names.
        changing: Whether a platform of this machine, which has all packages by then, may be changed meanwhile.
    """
    made = {name: Machine(name, 11 + number, folder / name) for number, name in enumerate(names)}
    _packages(folder / "packages")
    _key(folder / "key")
    with ExitStack() as end, PACKAGES_LOCK.open("w") as lock, _network(), _proxy():
        if not changing:
            fcntl.flock(lock, fcntl.LOCK_SH)
        for machine in made.values():
            _server(machine, folder / "key.pub")
            end.callback(machine.stop)
            machine.start()
        yield made


@contextmanager
def _network() -> Iterator[None]:
    if Path("/sys/class/net", BRIDGE).exists():  # of a run that was killed
        _run("ip", "link", "delete", BRIDGE)
    _run("ip", "link", "add", BRIDGE, "type", "bridge")
    try:
        _run("ip", "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
        _run("ip", "link", "set", BRIDGE, "up")
        yield
    finally:
        _run("ip", "link", "delete", BRIDGE)


@contextmanager
def _proxy() -> Iterator[None]:
    program = Path(__file__).parent / "programs" / "proxy.py"
    command = [sys.executable, str(program), f"{NETWORK}.1", str(PROXY_PORT)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as proxy:
        try:
            assert proxy.stdout
            assert proxy.stdout.readline() == "ready\n", "the proxy did not start"
            yield
        finally:
            proxy.kill()


def _packages(folder: Path) -> None:
    """Unpack Debian's SSH server into a folder, which the machines see as theirs."""
    if folder.is_dir():
        return
    downloads = folder.with_name("downloads")
    downloads.mkdir(mode=0o777)
    get = ["apt-get", "--quiet", "-o", "APT::Sandbox::User=root", "download", *PACKAGES]
    if subprocess.run(get, cwd=downloads, check=False, capture_output=True).returncode != 0:
        _run("apt-get", "--quiet", "update")
        subprocess.run(get, cwd=downloads, check=True, capture_output=True)
    for package in downloads.glob("*.deb"):
        _run("dpkg", "--extract", str(package), str(folder))
    for extra in (each for each in folder.iterdir() if each.name != "usr"):
        if extra.name == "lib":  # a link into /usr on the machines
            shutil.copytree(extra, folder / "usr" / "lib", symlinks=True, dirs_exist_ok=True)
        shutil.rmtree(extra)


def _key(file: Path) -> None:
    if not file.exists():
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", str(file))


def _server(machine: Machine, public_key: Path) -> None:
    """Write what makes the machine's SSH server this machine's own; it outlives the machine."""
    ssh = machine.folder / "ssh"
    ssh.mkdir(parents=True, exist_ok=True)
    _key(ssh / "test_host_key")
    (ssh / "test_config").write_text(SSHD)
    (ssh / "authorized_keys").write_text(public_key.read_text())
