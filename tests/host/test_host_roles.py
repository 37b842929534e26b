"""The roles that configure a machine itself, on a machine of the tests' own: made, kept, checked, removed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.host import baseline
from tests.host.overlay import ROOT, Machine, machine

pytestmark = pytest.mark.drill

ENVIRONMENT = "own"
SITE = "ansible/playbooks/site.yml"
PACKAGES = ("openssh-server", "sudo", "chrony", "containerd", "unattended-upgrades", "kmod")
COMMON = {"terrace_environment": ENVIRONMENT, "terrace_package_index": "", "terrace_proxy": ""}
DOCUMENT = ROOT / "docs" / "hardening.md"
# Stands for the kernel, which is this machine's: says that it has loaded a module, with the settings that come with it.
MODPROBE = """#!/bin/sh
set -e
[ "$1" = br_netfilter ]
mkdir /proc/sys/net/bridge
echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables
echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables
"""
# All that a role could have changed but what belongs to the environment: content and modes below /etc, kernel settings.
SNAPSHOT = """
import hashlib, json, os
found = {}
for root in ("/etc", "/proc/sys", "/home"):
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name != "terrace"]
        for path in [folder, *(os.path.join(folder, name) for name in files)]:
            try:
                status = os.lstat(path)
                link = os.path.islink(path) or os.path.isdir(path)
                content = "" if link else hashlib.sha256(open(path, "rb").read().strip()).hexdigest()
                found[path] = [oct(status.st_mode), status.st_uid, content]
            except OSError:
                continue
print(json.dumps(found))
"""
BACKUPS = re.compile(r"/etc/(passwd|group|shadow|gshadow|subuid|subgid)-|/etc/\.pwd\.lock|/proc/sys/net/bridge.*")


def _role(role: str, instance: str = "", **variables: Any) -> dict[str, Any]:
    return {"role": role, "instance": instance or role, "variables": {**COMMON, **variables}}


HOST = _role("host", host_project="tests")


def _roles(key: str) -> list[dict[str, Any]]:
    """Return all of them, in the order that the target gives them."""
    return [
        HOST,
        _role("users", "ann", users_ssh_keys=[key], users_sudo=True),
        _role("hardening", hardening_ssh_passwords=False, hardening_security_updates=True),
        _role("time", time_servers=["ntp.example.org"]),
        _role("container_runtime"),
        _role("kubernetes_node"),
        _role("gpu", gpu_driver="535.216.01-1~deb12u1", gpu_package="nvidia-driver", gpu_toolkit=""),
    ]


@dataclass(frozen=True)
class Configured:
    """A machine on which the roles have run.

    Args:
        on: The machine.
        before: What was there before.
        planned: What check mode said of the bare machine: how many changes.
        checked: What was there after that.
        changes: How many changes it took.
        roles: The roles.
    """

    on: Machine
    before: dict[str, Any]
    planned: int
    checked: dict[str, Any]
    changes: int
    roles: dict[str, Any]


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the packages, whose own settings then count as what was there before."""
    with machine(tmp_path_factory.mktemp("machine")) as made:
        made.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n", "0755")
        install = ("apt-get", "install", "--quiet", "--yes", "--no-install-recommends", *PACKAGES)
        if made.run(*install, check=False).returncode != 0:
            made.run("apt-get", "update", "--quiet")
            made.run(*install)
        made.run("rm", "-rf", "/root/.ssh/authorized_keys", "/usr/sbin/policy-rc.d")
        made.write("/usr/local/sbin/modprobe", MODPROBE, "0755")
        made.run("mkdir", "-p", "/run/sshd")
        made.run("rm", "-rf", "/proc/sys/net/bridge")
        made.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/key")
        yield made


@pytest.fixture(scope="module")
def configured(bare: Machine) -> Configured:
    roles = {"terrace_roles": _roles(bare.run("cat", "/root/key.pub").stdout.strip())}
    before = _snapshot(bare)
    planned, _ = bare.play(SITE, {"terrace_roles": roles["terrace_roles"][:2]}, "--check")
    checked = _snapshot(bare)
    changes, _ = bare.play(SITE, roles)
    return Configured(bare, before, planned, checked, changes, roles)


def _snapshot(on: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(on.run("/usr/bin/python3", "-c", SNAPSHOT).stdout)
    return {path: value for path, value in found.items() if not BACKUPS.fullmatch(path)}


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {path for path in one.keys() | other.keys() if one.get(path) != other.get(path)}


def test_nobody_is_locked_out(bare: Machine) -> None:
    """Runs first, while nobody has a key."""
    hardening = _role("hardening", hardening_ssh_passwords=False, hardening_security_updates=False)
    before = _snapshot(bare)
    with pytest.raises(AssertionError, match="Nobody on this machine has an authorized key"):
        bare.play(SITE, {"terrace_roles": [HOST, hardening]})
    assert _differing(before, _snapshot(bare)) == set()


def test_check_mode_on_a_bare_machine_tells_of_changes_and_makes_none(configured: Configured) -> None:
    assert configured.planned > 0
    assert _differing(configured.before, configured.checked) == set()


def test_a_second_run_changes_nothing(configured: Configured) -> None:
    assert configured.changes >= 15
    assert configured.on.play(SITE, configured.roles)[0] == 0


def test_check_mode_then_finds_nothing_to_do(configured: Configured) -> None:
    changes, said = configured.on.play(SITE, configured.roles, "--check")
    assert changes == 0
    assert "This machine has no NVIDIA GPU on its PCI bus. Nothing is installed." in said


def test_the_baseline_is_kept_but_for_the_deviations_that_are_documented(configured: Configured) -> None:
    documented = set(re.findall(r"(?m)^\| ((?:os|package|sysctl|sshd)-\w+) \|", DOCUMENT.read_text(encoding="utf-8")))
    numbers = {rule.number for rule in baseline.RULES}
    expected = (documented & numbers) | {"sysctl-01"}  # no forwarding, which `kubernetes_node` has turned on here
    host = configured.on.host()
    if not host.file("/proc/sys/kernel/modules_disabled").exists:
        expected -= {"sysctl-29"}  # a kernel without modules, which loads none
    assert set(baseline.broken(host)) == expected
    assert len(numbers) >= 80


def test_a_bare_machine_breaks_rules_that_the_role_keeps(configured: Configured) -> None:
    """The checks can fail: what the role changes was otherwise before."""
    changed = _differing(configured.before, _snapshot(configured.on))
    assert {"/etc/cron.daily", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/10-terrace-own.conf"} <= changed
    assert len([path for path in changed if path.startswith("/proc/sys/")]) >= 10


SSH = ("ssh", "-i", "/root/key", "-o", "ProxyCommand=/usr/sbin/sshd -i", "-o", "StrictHostKeyChecking=no")


def test_an_admin_logs_in_with_a_key_and_becomes_root(configured: Configured) -> None:
    assert configured.on.run(*SSH, "ann@machine", "sudo -n id -un; id -un").stdout.split() == ["root", "ann"]


def test_nobody_logs_in_with_a_password(configured: Configured) -> None:
    options = ("-o", "PreferredAuthentications=password,keyboard-interactive")
    refused = configured.on.run(*SSH, *options, "ann@machine", "true", check=False)
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_security_updates_install_themselves_without_a_reboot(configured: Configured) -> None:
    options = configured.on.run("apt-config", "dump").stdout
    assert 'APT::Periodic::Unattended-Upgrade "1";' in options
    assert 'Unattended-Upgrade::Automatic-Reboot "false";' in options


def test_the_clock_asks_the_servers(configured: Configured) -> None:
    assert "sourcedir /etc/chrony/sources.d" in configured.on.run("chronyd", "-p").stdout
    sources = configured.on.run("cat", f"/etc/chrony/sources.d/terrace-{ENVIRONMENT}.sources").stdout
    assert "server ntp.example.org iburst prefer" in sources


def test_containerd_leaves_cgroups_to_systemd(configured: Configured) -> None:
    file = f"/etc/containerd/terrace-{ENVIRONMENT}.toml"
    assert "SystemdCgroup = true" in configured.on.run("containerd", "--config", file, "config", "dump").stdout


def test_a_hardened_machine_can_be_a_kubernetes_node(configured: Configured) -> None:
    host = configured.on.host()
    for name in ("net.ipv4.ip_forward", "net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables"):
        assert host.file("/proc/sys/" + name.replace(".", "/", 2)).content_string.strip() == "1"
    assert host.file(f"/etc/modules-load.d/terrace-{ENVIRONMENT}.conf").content_string == "br_netfilter\noverlay\n"
    # No file that a later boot reads takes any of it back.
    lines = configured.on.run("sh", "-c", "cat /etc/sysctl.d/*terrace*").stdout.splitlines()
    assert [line for line in lines if "forward" in line] == ["net.ipv4.ip_forward = 1"]


def test_a_machine_that_swaps_is_refused(configured: Configured) -> None:
    on = configured.on
    on.write("/run/swaps", "Filename Type Size Used Priority\n/dev/vdb partition 1 0 -2\n")
    on.run("mount", "--bind", "/run/swaps", "/proc/swaps")
    try:
        with pytest.raises(AssertionError, match="kubelet doesn't start on a machine with swap: /dev/vdb"):
            on.play(SITE, {"terrace_roles": [_role("kubernetes_node")]})
    finally:
        on.run("umount", "/proc/swaps")


def test_a_gpu_on_the_bus_is_seen(configured: Configured) -> None:
    """In check mode: that a driver works can be seen on a machine with a GPU only."""
    device = "/sys/bus/pci/devices/0000:01:00.0"
    configured.on.write(f"{device}/vendor", "0x10de\n")
    configured.on.write(f"{device}/class", "0x030200\n")
    try:
        changes, said = configured.on.play(SITE, {"terrace_roles": configured.roles["terrace_roles"][-1:]}, "--check")
    finally:
        configured.on.run("rm", "-r", device)
    assert changes >= 2
    assert "has no NVIDIA GPU" not in said
    assert not configured.on.host().file(f"/etc/apt/preferences.d/terrace-{ENVIRONMENT}-gpu").exists


def test_removed_everything_is_as_it_was(configured: Configured) -> None:
    """Runs last. The home stays, as every home does whose account is removed without its data."""
    on = configured.on
    changes, _ = on.play(
        "tests/host/remove_roles.yml",
        {"terrace_roles": configured.roles["terrace_roles"][1:], **COMMON, "terrace_delete_data": False},
    )
    assert changes >= 5
    left = {path for path in _differing(configured.before, _snapshot(on)) if not path.startswith("/home/ann")}
    assert left - {"/home", "/proc/sys/net"} == set()
    assert on.run("getent", "passwd", "ann", check=False).returncode != 0
    assert on.run("ls", f"/etc/terrace/{ENVIRONMENT}/manifest.d").stdout.split() == ["project"]
