"""Says of folders whether what is written there is encrypted on its disk, as far as this machine does it.

A host's role takes this file along and runs it there: it needs nothing but Python itself. What a disk or a cloud
encrypts by itself can't be seen from a machine, and doesn't count.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

# Linux' FS_IOC_GET_ENCRYPTION_POLICY_EX, and the size of the largest policy (include/uapi/linux/fscrypt.h).
GET_POLICY = 0xC0096616
POLICY_BYTES = 24


@dataclass(frozen=True)
class AtRest:
    """A folder, whether it is encrypted at rest, and by what, or what it lies on in the clear."""

    folder: str
    encrypted: bool
    detail: str


def look(folders: Iterable[Path], sys_folder: Path = Path("/sys")) -> tuple[AtRest, ...]:
    """Look at folders, and at those in them, since each may be a mount of its own or a link to elsewhere.

    A folder that isn't there yet is as the one that it will be made in.
    """
    return tuple(_look(part, sys_folder) for folder in folders for part in _parts(folder))


def _parts(folder: Path) -> Iterator[Path]:
    yield folder
    if folder.is_dir():
        yield from sorted(part for part in folder.iterdir() if part.is_dir())


def _look(folder: Path, sys_folder: Path) -> AtRest:
    place = next(each for each in (folder, *folder.parents) if each.exists()).resolve()
    if not os.access(place, os.R_OK):
        return AtRest(str(folder), False, "only root can see it")
    if _has_policy(place):
        return AtRest(str(folder), True, "by its file system (fscrypt)")
    devices = _devices(_number(place), sys_folder)
    if not devices:
        return AtRest(str(folder), False, f"it lies on {_mount(place)[0]}, which doesn't say")
    plain = [device.name for device in devices if not _encrypted(device, sys_folder)]
    if plain:
        return AtRest(str(folder), False, f"{', '.join(plain)} isn't encrypted by this machine")
    return AtRest(str(folder), True, f"by dm-crypt ({', '.join(device.name for device in devices)})")


def _has_policy(folder: Path) -> bool:
    """Return whether the file system encrypts this folder itself."""
    question = bytearray(struct.pack("=Q", POLICY_BYTES) + bytes(POLICY_BYTES))
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, GET_POLICY, question)
    except OSError:  # it has none, or the file system doesn't know of any
        return False
    finally:
        os.close(descriptor)
    return True


def _number(place: Path) -> int:
    """Return the number of the block device that holds ``place``; 0 where there is none."""
    number = place.stat().st_dev
    if os.major(number):
        return number
    source = Path(_mount(place)[1])  # btrfs gives no device, but names one
    found = source.stat() if source.is_absolute() and source.exists() else None
    return found.st_rdev if found and stat.S_ISBLK(found.st_mode) else 0


def _devices(number: int, sys_folder: Path) -> list[Path]:
    """Return the device with all that share its file system, as folders of /sys; none where it isn't known."""
    listed = sys_folder / "dev" / "block" / f"{os.major(number)}:{os.minor(number)}"
    if not listed.exists():
        return []
    device = listed.resolve()
    for members in sys_folder.glob("fs/btrfs/*/devices"):
        if (members / device.name).exists():
            return [member.resolve() for member in sorted(members.iterdir())]
    return [device]


def _mount(place: Path) -> tuple[str, str]:
    """Return the type and the source of the mount that ``place`` lies in."""
    lines = [line.split() for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()]
    # A later mount hides an earlier one at the same place.
    found = max((len(words[4]), at) for at, words in enumerate(lines) if place.is_relative_to(words[4]))
    after = lines[found[1]].index("-")
    kind, source = lines[found[1]][after + 1 : after + 3]
    return kind, source


def _encrypted(device: Path, sys_folder: Path) -> bool:
    """Return whether all that ``device`` keeps passes dm-crypt on its way down."""
    uuid = device / "dm" / "uuid"
    if uuid.exists() and uuid.read_text(encoding="utf-8").startswith("CRYPT-"):
        return True
    if (device / "partition").exists():
        return _encrypted(device.parent, sys_folder)
    image = device / "loop" / "backing_file"
    if image.exists():
        return _look(Path(image.read_text(encoding="utf-8").strip()).parent, sys_folder).encrypted
    below = device / "slaves"
    parts = sorted(below.iterdir()) if below.is_dir() else []
    return bool(parts) and all(_encrypted(part.resolve(), sys_folder) for part in parts)


if __name__ == "__main__":
    print(json.dumps([asdict(found) for found in look(map(Path, sys.argv[1:]))]))
