"""Whether folders are encrypted at rest: devices as Linux describes them in /sys, and this machine's own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from terrace import at_rest

NUMBER = os.makedev(254, 3)


class Devices:
    """A /sys of a test's own; the device ``top`` holds every folder."""

    def __init__(self, folder: Path) -> None:
        self.sys = folder / "sys"
        self.block = self.sys / "devices" / "virtual" / "block"
        (self.sys / "dev" / "block").mkdir(parents=True)

    def add(self, name: str, below: tuple[str, ...] = (), **files: str) -> Path:
        """Describe a device that lies on others; ``files`` hold more about it, ``__`` for a slash."""
        device = self.block / name
        (device / "slaves").mkdir(parents=True)
        for one in below:
            (device / "slaves" / one).symlink_to(self.block / one)
        for file, text in files.items():
            path = device / file.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return device

    def holds(self, device: Path) -> None:
        """Let ``device`` be the one that holds every folder."""
        (self.sys / "dev" / "block" / f"{os.major(NUMBER)}:{os.minor(NUMBER)}").symlink_to(device)


@pytest.fixture
def devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Devices:
    monkeypatch.setattr(at_rest, "_number", lambda _place: NUMBER)
    return Devices(tmp_path)


CRYPT = {"dm__uuid": "CRYPT-LUKS2-0f1e-data\n"}
LVM = {"dm__uuid": "LVM-abc\n"}
# Device → those that it lies on, and what else is known of it.
STACKS: Mapping[str, tuple[dict[str, tuple[tuple[str, ...], dict[str, str]]], bool]] = {
    "a disk": ({"top": ((), {})}, False),
    "dm-crypt on a disk": ({"sda": ((), {}), "top": (("sda",), CRYPT)}, True),
    "LVM on a disk": ({"sda": ((), {}), "top": (("sda",), LVM)}, False),
    "LVM on dm-crypt": ({"sda": ((), {}), "dm-0": (("sda",), CRYPT), "top": (("dm-0",), LVM)}, True),
    "a mirror, encrypted by half": (
        {"sda": ((), {}), "sdb": ((), {}), "dm-0": (("sda",), CRYPT), "top": (("dm-0", "sdb"), {})},
        False,
    ),
}


@pytest.mark.parametrize("stack", STACKS)
def test_all_that_a_folder_lies_on_counts(devices: Devices, tmp_path: Path, stack: str) -> None:
    described, encrypted = STACKS[stack]
    for name, (below, files) in described.items():
        devices.add(name, below, **files)
    devices.holds(devices.block / "top")
    (tmp_path / "data" / "service").mkdir(parents=True)

    found = at_rest.look([tmp_path / "data"], devices.sys)

    assert [(each.folder, each.encrypted) for each in found] == [
        (str(tmp_path / "data"), encrypted),
        (str(tmp_path / "data" / "service"), encrypted),
    ]
    assert found[0].detail == ("by dm-crypt (top)" if encrypted else "top isn't encrypted by this machine")


def test_a_partition_is_as_its_device(devices: Devices, tmp_path: Path) -> None:
    mirror = devices.add("md0", ("sda",))
    devices.add("sda", **CRYPT)
    (mirror / "md0p1").mkdir()
    (mirror / "md0p1" / "partition").write_text("1\n", encoding="utf-8")
    devices.holds(mirror / "md0p1")

    assert at_rest.look([tmp_path / "data"], devices.sys)[0].detail == "by dm-crypt (md0p1)"


def test_an_image_is_as_the_folder_that_it_lies_in(devices: Devices, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    image = devices.add("loop0", loop__backing_file=f"{tmp_path}/images/disk\n")
    assert at_rest._encrypted(devices.add("sda", **CRYPT), devices.sys)
    devices.holds(devices.block / "sda")

    assert at_rest._encrypted(image, devices.sys)


def test_every_device_of_a_btrfs_counts(devices: Devices, tmp_path: Path) -> None:
    members = devices.sys / "fs" / "btrfs" / "1234" / "devices"
    members.mkdir(parents=True)
    (members / "dm-0").symlink_to(devices.add("dm-0", **CRYPT))
    (members / "sdb").symlink_to(devices.add("sdb"))
    devices.holds(devices.block / "dm-0")

    assert at_rest.look([tmp_path / "data"], devices.sys)[0].detail == "sdb isn't encrypted by this machine"


def test_a_file_system_without_a_device_does_not_say(tmp_path: Path) -> None:
    (found,) = at_rest.look([Path("/proc/self/fdinfo")])

    assert (found.encrypted, found.detail) == (False, "it lies on proc, which doesn't say")


def test_a_folder_that_nobody_may_look_into_is_not_called_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)

    assert at_rest.look([tmp_path / "data"])[0].detail == "only root can see it"
