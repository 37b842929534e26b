"""Accounts at registries, from where `docker login` and `podman login` keep them."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrace.errors import InputError, OperationError

HELPER_SECONDS = 60
# Docker calls its own registry by this address, in files and to helpers.
_DOCKER_HUB = "https://index.docker.io/v1/"
_IDENTITY_TOKEN = "<token>"  # noqa: S105  # what helpers give as a user's name where the secret is a token


@dataclass(frozen=True)
class Account:
    """What a registry knows somebody by: a name and a password, or a token that gives others."""

    user: str
    password: str = field(repr=False)

    @property
    def is_token(self) -> bool:
        """Whether the password is a token that others are given for."""
        return self.user == _IDENTITY_TOKEN

    @property
    def basic(self) -> str:
        """Return the header that shows it."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def account_for(host: str, environment: Mapping[str, str] | None = None) -> Account | None:
    """Return the account at the registry ``host``, as it is named in images; None where nobody is logged in.

    Args:
        host: ``docker.io``, ``registry.example.com:5000``.
        environment: The variables that name the files; by default this process's own.

    Raises:
        InputError: A file isn't written as it should be.
        OperationError: A credential helper is missing, or failed.
    """
    for file in _files(os.environ if environment is None else environment):
        if file.is_file() and (found := _account_in(file, host)):
            return found
    return None


def _files(environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where accounts are kept, first what the user names."""
    home = Path(environment.get("HOME") or Path.home())
    if named := environment.get("REGISTRY_AUTH_FILE"):
        yield Path(named)
    yield Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / "containers" / "auth.json"
    yield Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json"


def _account_in(file: Path, host: str) -> Account | None:
    # What is wrong with the file is said without its content, which is secret.
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        helpers, auths = content.get("credHelpers") or {}, content.get("auths") or {}
        helper = helpers.get(host) or content.get("credsStore")
        entries = [entry for key, entry in auths.items() if _host_of(key) == host and entry]
        kept = next(filter(None, map(_kept, entries)), None)
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(
            "accounts of registries can't be read",
            where=str(file),
            why=error.strerror if isinstance(error, OSError) else "it is not written as `docker login` writes it",
            fix="log in anew: docker login <registry>",
        ) from None
    return (_from_helper(str(helper), host, file) if helper else None) or kept


def _host_of(key: str) -> str:
    """Return the registry that a key of ``auths`` is for, as it is named in images."""
    if key in (_DOCKER_HUB, "index.docker.io", "registry-1.docker.io"):
        return "docker.io"
    return re.sub(r"^https?://", "", key).partition("/")[0]


def _kept(entry: Mapping[str, Any]) -> Account | None:
    if token := entry.get("identitytoken"):
        return Account(_IDENTITY_TOKEN, str(token))
    if "auth" in entry:
        user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        return Account(user, password.rstrip("\0")) if user else None
    if entry.get("username"):
        return Account(str(entry["username"]), str(entry.get("password", "")))
    return None


def _from_helper(name: str, host: str, file: Path) -> Account | None:
    program = f"docker-credential-{name}"
    found = None if "/" in name else shutil.which(program)
    if found is None:
        raise OperationError(
            f"the credential helper {program} isn't on PATH",
            where=str(file),
            fix="install it, or take its name out of the file and log in anew: docker login <registry>",
        )
    asked = _DOCKER_HUB if host == "docker.io" else host
    try:
        done = subprocess.run(
            [found, "get"], input=asked, capture_output=True, text=True, check=False, timeout=HELPER_SECONDS
        )
        if done.returncode:
            if "credentials not found" in done.stdout + done.stderr:
                return None
            raise _helper_failed(program, host, f"it ended with {done.returncode}")
        answer = json.loads(done.stdout)
        return Account(str(answer["Username"]), str(answer["Secret"]))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _helper_failed(program, host, type(error).__name__) from None
    except (ValueError, KeyError, TypeError):
        raise _helper_failed(program, host, "its answer is no account") from None


def _helper_failed(program: str, host: str, why: str) -> OperationError:
    """Return the error without what the helper said, which may hold the secret."""
    return OperationError(
        f"the credential helper {program} gave no account for {host}",
        why=why,
        fix=f"see what it says: echo {host} | {program} get",
    )
