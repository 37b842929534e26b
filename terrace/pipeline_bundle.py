"""Packing a project to send it as a pipeline: what Git knows of a folder, in an archive that is always the same."""

from __future__ import annotations

import gzip
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from components.pipelines.programs.contract.definition import FILE_NAME
from components.pipelines.programs.contract.digest import FileDigest, content_digest
from terrace.errors import InputError, OperationError

NEVER_SENT = frozenset(
    {".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".ipynb_checkpoints", ".terrace"}
)
UNVERSIONED = "unversioned"


@dataclass(frozen=True)
class Bundle:
    """A project as it is sent.

    Args:
        content: The archive (tar.gz); the same files give the same bytes.
        digest: The SHA-256 of what it holds.
        commit: The Git commit, with ``-dirty`` when the folder differs from it.
    """

    content: bytes
    digest: str
    commit: str


def make_bundle(folder: Path) -> Bundle:
    """Pack the files of ``folder`` that Git knows or would know; without Git, all but environments and caches.

    Raises:
        InputError: A file leads out of the folder, or Git ignores ``pipeline.yaml``.
        OperationError: Git does not answer.
    """
    versioned = any((parent / ".git").exists() for parent in (folder.resolve(), *folder.resolve().parents))
    paths = sorted(_known_to_git(folder) if versioned else _all_files(folder))
    if FILE_NAME not in paths:
        raise InputError(f"{FILE_NAME} is not among the files to send", where=str(folder), why="Git ignores it.")
    archive = io.BytesIO()
    digests = []
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=archive, mtime=0) as compressed,
        tarfile.open(mode="w", fileobj=compressed, format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in paths:
            content, executable = _read(folder, path)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(content), 0o755 if executable else 0o644
            tar.addfile(entry, io.BytesIO(content))
            digests.append(FileDigest(path, executable, hashlib.sha256(content).hexdigest()))
    return Bundle(archive.getvalue(), content_digest(digests), _commit(folder) if versioned else UNVERSIONED)


def _known_to_git(folder: Path) -> Iterator[str]:
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    paths = (path for path in listed.split("\0") if path)
    # A file that was deleted but is still in the index has nothing to send.
    return (path for path in paths if NEVER_SENT.isdisjoint(Path(path).parts) and (folder / path).exists())


def _all_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if NEVER_SENT.isdisjoint(relative.parts) and (path.is_symlink() or not path.is_dir()):
            yield relative.as_posix()


def _read(folder: Path, path: str) -> tuple[bytes, bool]:
    real = (folder / path).resolve()
    if not real.is_relative_to(folder.resolve()) or not real.is_file():
        raise InputError(
            "This is neither a file nor a link to one inside of the project",
            where=str(folder / path),
            fix="Replace it by the file itself, or have Git ignore it.",
        )
    return real.read_bytes(), bool(real.stat().st_mode & 0o100)


def _commit(folder: Path) -> str:
    lines = _git(folder, "status", "--porcelain=v2", "--branch", "--", ".").splitlines()
    headers = dict(line[2:].split(" ", 1) for line in lines if line.startswith("# "))
    changes = [line for line in lines if not line.startswith("# ")]
    commit = headers["branch.oid"]
    return ("uncommitted" if commit == "(initial)" else commit) + ("-dirty" if changes else "")


def _git(folder: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True)
    except FileNotFoundError:
        raise OperationError("Git is not installed", where=str(folder), fix="Install the package 'git'.") from None
    except subprocess.CalledProcessError as error:
        raise OperationError(
            "Git can't tell the project's files", where=str(folder), why=error.stderr.strip()
        ) from None
    return done.stdout
