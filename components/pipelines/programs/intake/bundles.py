"""Bundles: archives of pipelines that are unpacked once, each into a folder named by the digest of what it holds."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from ..contract.definition import FILE_NAME, DefinitionError, PipelineDefinition
from ..contract.digest import FileDigest, content_digest
from .errors import Refused
from .settings import MIB

MOST_FILES = 20_000
# How much larger than the largest archive its content may be: what sources and tables compress to, with room.
EXPANSION = 8
COPY_BYTES = 1024 * 1024


class Bundles:
    """The unpacked bundles in ``folder``.

    Args:
        folder: Where they are kept.
        largest_mb: The largest archive (MiB) that is accepted.
    """

    def __init__(self, folder: Path, largest_mb: int) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        self.largest_bytes = largest_mb * MIB
        # What a killed service had not finished unpacking is of no use.
        shutil.rmtree(self._incoming, ignore_errors=True)
        self._incoming.mkdir(parents=True, mode=0o700)

    def folder(self, digest: str) -> Path:
        """Return the folder with the bundle's files."""
        return self._folder / digest

    def definition(self, digest: str) -> PipelineDefinition:
        """Return the bundle's pipeline.

        Raises:
            OSError: The bundle is gone.
            DefinitionError: Its ``pipeline.yaml`` was changed into something else after it was accepted.
        """
        return PipelineDefinition.parse((self.folder(digest) / FILE_NAME).read_text(encoding="utf-8"))

    def incoming(self) -> Path:
        """Return a new folder for an archive that is being received; the caller removes it."""
        return Path(tempfile.mkdtemp(dir=self._incoming))

    def unpack(self, archive: Path) -> tuple[str, Path, PipelineDefinition]:
        """Unpack ``archive`` beside itself and return its digest, where it is, and its pipeline.

        Raises:
            Refused: It is no archive, holds what it must not, or no valid pipeline.
        """
        target = archive.parent / "files"
        target.mkdir()
        try:
            with tarfile.open(archive, mode="r:gz") as tar:
                digest = content_digest(self._extract(tar, target))
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise Refused(400, "The bundle can't be unpacked", str(error), "Send a tar.gz archive.") from error
        return digest, target, _definition(target)

    def accept(self, unpacked: Path, digest: str) -> None:
        """Put an unpacked bundle in its place, in one step, unless it is there in good order."""
        try:
            self.definition(digest)
        except (OSError, DefinitionError):
            shutil.rmtree(self.folder(digest), ignore_errors=True)
            unpacked.rename(self.folder(digest))

    def prune(self, used: Collection[str]) -> None:
        """Remove the bundles, with their environments, whose digests are not ``used``."""
        for folder in self._folder.iterdir():
            if folder != self._incoming and folder.name not in used:
                shutil.rmtree(folder, ignore_errors=True)

    def _extract(self, tar: tarfile.TarFile, target: Path) -> Iterator[FileDigest]:
        # Written by hand because Python before 3.11.4 (Debian 12) has no extraction filters, and because a bundle
        # needs less than they allow: plain files, with no owner, link, or device.
        room = self.largest_bytes * EXPANSION
        for count, member in enumerate(tar, start=1):
            path = _inside(member.name)
            room -= member.size
            if count > MOST_FILES or room < 0:
                raise Refused(
                    413,
                    "The bundle is too large once unpacked",
                    f"It may hold {MOST_FILES} files and {self.largest_bytes * EXPANSION // MIB} MiB.",
                    "Leave data and environments out of it (.gitignore).",
                )
            if member.isdir():
                (target / path).mkdir(parents=True, exist_ok=True)
            elif member.isreg():
                yield _write(tar, member, target, path)
            else:
                raise Refused(400, f"The bundle holds '{member.name}', which is neither a file nor a folder")


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise Refused(400, f"The bundle holds '{name}', which lies outside of it")
    return path


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path, path: PurePosixPath) -> FileDigest:
    source = tar.extractfile(member)
    if source is None:
        raise Refused(400, f"The bundle's '{member.name}' can't be read")
    executable = bool(member.mode & 0o100)
    content = hashlib.sha256()
    place = target / path
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("xb") as file:
        while block := source.read(COPY_BYTES):
            content.update(block)
            file.write(block)
    place.chmod(0o700 if executable else 0o600)
    return FileDigest(str(path), executable, content.hexdigest())


def _definition(folder: Path) -> PipelineDefinition:
    try:
        return PipelineDefinition.parse((folder / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Refused(400, f"The bundle has no {FILE_NAME} at its root") from None
    except UnicodeDecodeError:
        raise Refused(422, f"{FILE_NAME} is not UTF-8 text") from None
    except DefinitionError as error:
        raise Refused(
            422, f"{FILE_NAME} is not a valid pipeline", str(error), "Correct it and send it again."
        ) from None
