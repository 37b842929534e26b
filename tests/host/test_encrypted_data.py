"""What the spec demands of encryption at rest, on a machine of the tests' own with a disk of its own.

The disk's file system encrypts folders itself (fscrypt), which takes Linux with CONFIG_FS_ENCRYPTION.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from terrace import at_rest
from tests.host.overlay import Machine, machine

ENVIRONMENT = "own"
SITE = "ansible/playbooks/site.yml"
COMMON = {"terrace_environment": ENVIRONMENT, "terrace_package_index": "", "terrace_proxy": ""}
DATA = f"/var/lib/terrace/{ENVIRONMENT}"
DISK = "/root/disk"
# Gives a folder, its last argument, a random key, by the kernel's own calls (include/uapi/linux/fscrypt.h).
ENCRYPT = """
import fcntl, os, struct, sys
folder = os.open(sys.argv[1], os.O_RDONLY)
key = bytearray(struct.pack("=II32xII32x", 2, 0, 64, 0) + os.urandom(64))
fcntl.ioctl(folder, 0xC0506617, key)
fcntl.ioctl(folder, 0x800C6613, struct.pack("=BBBB4x16s", 2, 1, 4, 3, bytes(key[8:24])))
"""


def _roles(folder: str) -> dict[str, Any]:
    demanded = {
        "encrypted_data_folders": [folder],
        "encrypted_data_program": Path(at_rest.__file__).read_text(encoding="utf-8"),
    }
    return {
        "terrace_roles": [
            {"role": "host", "instance": "host", "variables": {**COMMON, "host_project": "tests"}},
            {"role": "encrypted_data", "instance": "encrypted_data", "variables": {**COMMON, **demanded}},
        ]
    }


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine whose data folder holds a disk with a folder in the clear and an encrypted one."""
    with machine(tmp_path_factory.mktemp("machine")) as made:
        made.run("mkdir", "-p", DATA)
        made.run("truncate", "--size=32M", DISK)
        made.run("mkfs.ext4", "-q", "-O", "encrypt", DISK)
        made.run("mount", "-o", "loop", DISK, DATA)
        made.run("rmdir", f"{DATA}/lost+found")
        made.run("mkdir", f"{DATA}/clear", f"{DATA}/hidden")
        made.run("/usr/bin/python3", "-c", ENCRYPT, f"{DATA}/hidden")
        made.run("mkdir", f"{DATA}/hidden/service")
        yield made


def test_a_machine_that_keeps_data_in_the_clear_is_refused(disk: Machine) -> None:
    with pytest.raises(AssertionError, match=rf"demands that data is encrypted at rest, and {DATA}/clear is\s+not"):
        disk.play(SITE, _roles(f"{DATA}/clear"))


def test_one_folder_in_the_clear_is_enough_to_refuse(disk: Machine) -> None:
    """The data folder's own mount may be encrypted, and a service's folder in it lie elsewhere."""
    disk.run("mkdir", f"{DATA}/clear/elsewhere")
    disk.run("mount", "--bind", f"{DATA}/clear/elsewhere", f"{DATA}/hidden/service")
    try:
        with pytest.raises(AssertionError, match=rf"{DATA}/hidden/service is\s+not"):
            disk.play(SITE, _roles(f"{DATA}/hidden"))
    finally:
        disk.run("umount", f"{DATA}/hidden/service")


def test_encrypted_data_is_accepted_and_lying_in_the_clear_later_is_drift(disk: Machine) -> None:
    disk.play(SITE, _roles(f"{DATA}/hidden"))
    assert disk.play(SITE, _roles(f"{DATA}/hidden"), "--check")[0] == 0
    assert disk.play(SITE, _roles(f"{DATA}/clear"), "--check")[0] == 1


@pytest.mark.parametrize(("folder", "read"), [("clear", True), ("hidden/service", False)])
def test_what_is_kept_there_cannot_be_read_from_the_disk(disk: Machine, folder: str, read: bool) -> None:
    said = f"kept in {folder}, and nowhere else"
    disk.write(f"{DATA}/{folder}/said", said)
    disk.run("sync")
    assert (disk.run("grep", "--quiet", "--text", "--fixed-strings", said, DISK, check=False).returncode == 0) is read
