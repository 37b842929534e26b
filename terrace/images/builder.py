"""Builds the platform's own images by docker, podman, or buildah, or writes what one of them needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from terrace.errors import InputError, OperationError
from terrace.images import Images
from terrace.images.own import OwnImage
from terrace.images.reference import Reference

STANDARD_ERROR = 2
PROGRAMS = ("docker", "podman", "buildah")  # they take the same words for what is done here


def program() -> str:
    """Return what builds images on this machine.

    Raises:
        InputError: There is nothing.
    """
    for name in PROGRAMS:
        if shutil.which(name):
            return name
    raise InputError(
        f"nothing on PATH builds images: {', '.join(PROGRAMS)}",
        fix="install one (Debian: apt install podman), or write the build contexts with -o and build them elsewhere",
    )


def write(images: Images, folder: Path) -> Iterator[tuple[str, Path]]:
    """Write the build context of each own image to ``<folder>/<name>``, and yield both once that is done.

    Raises:
        InputError: Nothing can be written there.
    """
    for name in images.table.own:
        try:
            yield name, _write(images, images.own_image(name), folder / name)
        except OSError as error:
            raise InputError("it can't be written", where=str(folder / name), why=error.strerror) from None


def build(images: Images, name: str, built_by: str) -> Reference:
    """Build an own image and return its name.

    The engine's own output goes to standard error. Where PIP_CONFIG_FILE names a file, pip has it in the build, and
    the image doesn't: it may hold a password for the package index.

    Raises:
        OperationError: The engine failed.
    """
    image = images.own_image(name)
    there = images.placed(image.reference)
    with tempfile.TemporaryDirectory() as folder:
        context = _write(images, image, Path(folder))
        words = ["build", "--file", str(context / "Containerfile"), "--tag", there.tagged]
        if pip := os.environ.get("PIP_CONFIG_FILE"):
            words += ["--secret", f"id=pip.conf,src={pip}"]
        _run(built_by, [*words, str(context)], there)
    return there


def push(there: Reference, built_by: str) -> None:
    """Bring a built image to its registry.

    Raises:
        OperationError: The engine failed.
    """
    _run(built_by, ["push", there.tagged], there)


def _write(images: Images, image: OwnImage, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in image.context(images.placed(image.base)).items():
        (folder / name).write_text(content, encoding="utf-8")
    return folder


def _run(built_by: str, words: list[str], there: Reference) -> None:
    done = subprocess.run([built_by, *words], stdin=subprocess.DEVNULL, stdout=STANDARD_ERROR, check=False)
    if done.returncode:
        raise OperationError(
            f"{built_by} {words[0]} ended with {done.returncode}",
            where=there.tagged,
            why="it is said above",
            fix="remove the cause and run it again; what is built stays built",
        )
