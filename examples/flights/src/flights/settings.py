"""What the environment and ``configuration.yaml`` say: the only wiring between the project and a platform."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from flights.errors import SettingsError

CONFIGURATION = Path("configuration.yaml")
LOCK = Path("uv.lock")
MLFLOW_VARIABLES = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
)
SECTIONS = {
    "split": {"train_from", "validate_from", "test_from"},
    "gate": {"minimum_auc", "minimum_gain"},
}


def require(names: tuple[str, ...]) -> dict[str, str]:
    """Return the variables' values.

    Raises:
        SettingsError: Naming all the missing ones at once.
    """
    missing = [name for name in names if not os.environ.get(name)]
    if missing:
        raise SettingsError(
            f"{', '.join(missing)} not set",
            where="environment",
            why="the platform hands its addresses and accounts to a project as environment variables",
            fix="run the pipeline on the platform, or export the variables that README.md lists",
        )
    return {name: os.environ[name] for name in names}


@dataclass(frozen=True)
class Gateway:
    """The platform's entrance: its address, an account, and the certificate to trust."""

    url: str
    user: str
    password: str
    ca_file: str

    @classmethod
    def from_environment(cls) -> Gateway:
        """Read ``TERRACE_*``."""
        names = ("TERRACE_GATEWAY_URL", "TERRACE_GATEWAY_USER", "TERRACE_GATEWAY_PASSWORD", "TERRACE_CA_FILE")
        url, user, password, ca_file = require(names).values()
        return cls(url.rstrip("/"), user, password, ca_file)


@dataclass(frozen=True)
class FeatureDatabase:
    """The PostgreSQL database that Feast's registry and both its stores live in."""

    host: str
    port: int
    database: str
    user: str
    password: str
    project: str

    @classmethod
    def from_environment(cls) -> FeatureDatabase:
        """Read ``FEATURE_STORE_*``; ``FEATURE_STORE_PROJECT`` may be missing and is ``terrace`` then."""
        names = tuple(f"FEATURE_STORE_{part}" for part in ("HOST", "PORT", "DATABASE", "USER", "PASSWORD"))
        host, port, database, user, password = require(names).values()
        if not port.isdigit():
            raise SettingsError("not a port number", where="FEATURE_STORE_PORT", fix="give the port's digits")
        project = os.environ.get("FEATURE_STORE_PROJECT", "terrace")
        return cls(host, int(port), database, user, password, project)


@dataclass(frozen=True)
class Configuration:
    """What decides how a model is made; see the comments in ``configuration.yaml``."""

    model_name: str
    use_case: str
    seed: int
    split: Mapping[str, str]
    online_from: str
    gate: Mapping[str, float]
    search: tuple[Mapping[str, float], ...]
    baseline: Mapping[str, float]

    @classmethod
    def load(cls, path: Path = CONFIGURATION) -> Configuration:
        """Read the file.

        Raises:
            SettingsError: It isn't there, or its keys are not exactly those of this class and of ``SECTIONS``.
        """
        content = _read(path)
        _check_keys(content, {field.name for field in fields(cls)}, str(path))
        for section, keys in SECTIONS.items():
            _check_keys(content[section], keys, f"{path}: {section}")
        return cls(**{**content, "search": tuple(content["search"])})


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(
            "cannot be read", where=str(path), why=str(error), fix="run the command in the project's folder"
        ) from error


def _check_keys(content: Any, expected: set[str], where: str) -> None:
    fix = f"keys: {sorted(expected)}"
    if not isinstance(content, dict):
        raise SettingsError("is not a mapping", where=where, fix=fix)
    if set(content) != expected:
        wrong = ", ".join(sorted(map(str, set(content) ^ expected)))
        raise SettingsError(f"missing or unknown: {wrong}", where=where, fix=fix)


def file_hash(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
