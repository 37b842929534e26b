"""The service's configuration, from its environment."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|KEY")
# Masking a value as short as these would blacken ordinary text and protect nothing.
SHORTEST_SECRET = 4
PASSED_TO_UV = re.compile(r"UV_.*|(?:HTTPS?|ALL|NO)_PROXY|(?:https?|all|no)_proxy|SSL_CERT_(?:FILE|DIR)")
PLAIN = ("address", "port", "data", "user", "password", "people", "keep_runs", "bundle_mb", "log_mb", "uv")
MIB = 1024 * 1024


class SettingsError(Exception):
    """The service can't start with this environment."""


class Settings(BaseModel):
    """Configuration; each field is the variable ``PIPELINES_<FIELD>``.

    Args:
        people: The file of people's accounts.
        project_variables: Names and values of the variables that steps get.
        uv_variables: What ``uv`` itself is given: the package index, the proxy, and the like.
    """

    model_config = ConfigDict(frozen=True)

    address: str = "127.0.0.1"
    port: int = Field(ge=1, le=65535)
    data: Path
    user: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)
    people: Path | None = None
    keep_runs: int = Field(20, ge=1)
    bundle_mb: int = Field(256, ge=1)
    log_mb: int = Field(20, ge=1)
    required_steps: tuple[str, ...] = ()
    uv: str | None = None
    project_variables: dict[str, str] = Field(default_factory=dict, repr=False)
    uv_variables: dict[str, str] = Field(default_factory=dict, repr=False)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the configuration.

        Raises:
            SettingsError: A variable is missing or wrong; the message names it and never shows a value.
        """
        names = _names(environment.get("PIPELINES_PROJECT_VARIABLES", ""))
        absent = [name for name in names if name not in environment]
        if absent:
            raise SettingsError(f"PIPELINES_PROJECT_VARIABLES names variables that are not set: {', '.join(absent)}")
        plain = {field: value for field in PLAIN if (value := environment.get(f"PIPELINES_{field.upper()}"))}
        plain.setdefault("uv", shutil.which("uv") or "")
        try:
            return cls.model_validate(
                {
                    **plain,
                    "required_steps": _names(environment.get("PIPELINES_REQUIRED_STEPS", "")),
                    "project_variables": {name: environment[name] for name in names},
                    "uv_variables": {key: value for key, value in environment.items() if PASSED_TO_UV.fullmatch(key)},
                }
            )
        except ValidationError as error:
            problems = "; ".join(f"PIPELINES_{str(item['loc'][0]).upper()}: {item['msg']}" for item in error.errors())
            raise SettingsError(problems) from None

    def secret_values(self) -> tuple[bytes, ...]:
        """Return what must not be seen in logs: secrets of the project's variables, and passwords inside addresses."""
        found: set[str] = set()
        for name, value in self.project_variables.items():
            if SECRET_NAME.search(name.upper()):
                found.add(value)
            password = _password_in(value)
            if password:
                found |= {password, unquote(password)}
        return tuple(value.encode() for value in found if len(value) >= SHORTEST_SECRET)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _password_in(value: str) -> str | None:
    try:
        return urlsplit(value).password
    except ValueError:
        return None
