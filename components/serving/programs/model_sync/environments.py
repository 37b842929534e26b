"""Python environments for models: the model's locked libraries, and for the rest MLServer's own lock."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

from .errors import DeploymentError
from .settings import Settings

LOG = logging.getLogger(__name__)
INSTALL_SECONDS = 1800
# Secrets for the registry are none of the installer's business.
PASSED_ON = re.compile(r"UV_|SSL_|HTTPS?_PROXY$|NO_PROXY$|ALL_PROXY$|PATH$|HOME$|LANG|LC_", re.IGNORECASE)
# A package's name, extras, versions and markers. Any other character may be part of an address, a path or a variable,
# for which uv knows many spellings ("skops@https:/host/file.whl").
PLAIN = re.compile(r"[a-z0-9][\w .,*+!<>=~()\[\];'\"-]*", re.ASCII | re.IGNORECASE)
HASH = re.compile(r"--hash=\w+:\w+", re.ASCII)
NOT_FOR_MODELS = frozenset({"uv"})


def requirement_name(line: str) -> str:
    """Return the normalised name of the package that a requirements line asks for."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s=<>!~;\[@]", line.strip(), maxsplit=1)[0]).lower()


def requirements(text: str) -> dict[str, str]:
    """Return a requirements file's entries, hashes included, by package name.

    A package may have several entries with different markers; they stay together.

    Raises:
        DeploymentError: It has options, addresses or paths, which could bring libraries from anywhere.
    """
    entries: dict[str, str] = {}
    for line in re.sub(r"\\\s*\n\s*", " ", text).splitlines():
        entry = line.partition(" #")[0].strip()
        if not entry or entry.startswith("#"):
            continue
        words = [word for word in entry.split() if not HASH.fullmatch(word)]
        if not PLAIN.fullmatch(" ".join(words)) or any(word.startswith("-") for word in words):
            raise DeploymentError(f"the model's requirements may name packages only, not {' '.join(words)[:200]!r}")
        name = requirement_name(entry)
        entries[name] = f"{entries[name]}\n{entry}" if name in entries else entry
    return entries


def merged(model: str, server: str) -> str:
    """Return one requirements text: the model's entries, and MLServer's for every package the model leaves open."""
    own = requirements(model)
    others = {name: entry for name, entry in requirements(server).items() if name not in NOT_FOR_MODELS}
    return "\n".join((others | own).values()) + "\n"


def ensure(settings: Settings, model: str) -> Path:
    """Return the environment for a model with these requirements, after building it where it is missing.

    Raises:
        DeploymentError: The libraries do not go together, or cannot be installed.
    """
    text = merged(model, settings.lock.read_text(encoding="utf-8"))
    digest = hashlib.sha256(f"{sys.version}\n{text}".encode()).hexdigest()[:32]
    folder = settings.environments / digest
    if not (folder / "complete").exists():
        LOG.info("building environment %s", digest)
        settings.environments.mkdir(parents=True, exist_ok=True)
        listing = settings.environments / f"{digest}.txt"
        listing.write_text(text, encoding="utf-8")
        base = str(Path(sys.base_prefix, "bin", "python3"))
        _uv(settings, "venv", "--quiet", "--clear", "--python", base, str(folder))
        options = ["--quiet", "--no-build", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
        if all("--hash=" in entry for entry in requirements(model).values()):
            options.append("--require-hashes")
        _uv(settings, "pip", "install", *options, "--requirements", str(listing))
        (folder / "complete").touch()
    return folder


def _uv(settings: Settings, *arguments: str) -> None:
    environment = {key: value for key, value in os.environ.items() if PASSED_ON.match(key)}
    environment |= {"UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    environment.setdefault("UV_CACHE_DIR", str(settings.data / "cache"))
    try:
        done = subprocess.run(
            [str(settings.uv), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeploymentError(f"the model's libraries cannot be installed: {error}") from error
    if done.returncode:
        reason = done.stderr[-1500:]
        raise DeploymentError(f"the model's libraries cannot be installed beside MLServer's: {reason}")
