"""Python environments for models: the model's locked libraries, and for the rest MLServer's own lock."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import subprocess
import sys
from concurrent.futures import Executor, Future
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
NOT_FOR_MODELS = frozenset({"uv", "psycopg", "psycopg-binary"})


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


def folder(settings: Settings, model: str) -> Path:
    """Return where the environment for a model with these requirements is, or will be.

    Raises:
        DeploymentError: The requirements are refused.
    """
    text = merged(model, settings.lock.read_text(encoding="utf-8"))
    digest = hashlib.sha256(f"{sys.version}\n{text}".encode()).hexdigest()[:32]
    return settings.environments / digest


def ensure(settings: Settings, model: str) -> Path:
    """Return the environment for a model with these requirements, after building it where it is missing.

    Raises:
        DeploymentError: The libraries do not go together, or cannot be installed.
    """
    target = folder(settings, model)
    if not (target / "complete").exists():
        LOG.info("building environment %s", target.name)
        settings.environments.mkdir(parents=True, exist_ok=True)
        listing = target.with_suffix(".txt")
        listing.write_text(merged(model, settings.lock.read_text(encoding="utf-8")), encoding="utf-8")
        base = str(Path(sys.base_prefix, "bin", "python3"))
        _uv(settings, "venv", "--quiet", "--clear", "--python", base, str(target))
        options = ["--quiet", "--no-build", "--compile-bytecode", "--python", str(target / "bin" / "python")]
        if all("--hash=" in entry for entry in requirements(model).values()):
            options.append("--require-hashes")
        _uv(settings, "pip", "install", *options, "--requirements", str(listing))
        (target / "complete").touch()
    return target


class Builds:
    """Environments, built aside one at a time: a rollback must not wait until another version's libraries are there.

    Args:
        settings: What the program is told.
        executor: What builds.
    """

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        self._going_on: dict[Path, Future[Path]] = {}

    def get(self, model: str) -> Path | None:
        """Return the environment for a model with these requirements, or None while it is being built.

        Raises:
            DeploymentError: The libraries do not go together, or cannot be installed.
        """
        target = folder(self._settings, model)
        if target not in self._going_on and (target / "complete").exists():
            return target
        if target not in self._going_on:
            self._going_on[target] = self._executor.submit(ensure, self._settings, model)
        if not self._going_on[target].done():
            return None
        return self._going_on.pop(target).result()


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
