"""Reads ``Pulumi.yaml``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrace.engine.errors import UnsupportedError
from terrace.engine.stackfile import as_text
from terrace.errors import InputError

# What ``pulumi login --local`` stands for, so that both engines find each other without a setting.
DEFAULT_BACKEND = "file://~"


@dataclass(frozen=True)
class Project:
    """A Pulumi project.

    Attributes:
        name: The project's name; part of every URN.
        root: The folder of ``Pulumi.yaml``.
        main: The program's folder, and its working folder while it runs.
        stack_config_dir: The folder of the stack files.
        backend_url: Where state is kept: ``PULUMI_BACKEND_URL``, else ``backend.url``, else ``file://~``.
        description: The project's description.
        config: Configuration of all its stacks, by full key, as a program gets it.
    """

    name: str
    root: Path
    main: Path
    stack_config_dir: Path
    backend_url: str = DEFAULT_BACKEND
    description: str | None = None
    config: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, root: Path) -> Project:
        """Read ``<root>/Pulumi.yaml``.

        Raises:
            InputError: The file is missing, isn't YAML, has no name, or its runtime isn't Python.
        """
        path = root / "Pulumi.yaml"
        document = _read(path)
        name = document.get("name")
        if not isinstance(name, str) or not name:
            raise InputError("the project has no name", where=str(path), fix="add a line `name: <project>`")
        runtime = document.get("runtime")
        language = runtime.get("name") if isinstance(runtime, dict) else runtime
        if language != "python":
            raise InputError(f"the runtime is {language!r}", where=str(path), fix="only `python` runs here")
        root = root.resolve()
        backend = document.get("backend") or {}
        return cls(
            name=name,
            root=root,
            main=root / (document.get("main") or "."),
            stack_config_dir=root / (document.get("stackConfigDir") or "."),
            backend_url=os.environ.get("PULUMI_BACKEND_URL") or backend.get("url") or DEFAULT_BACKEND,
            description=document.get("description"),
            config=dict(_config(document.get("config") or {}, name, path)),
        )

    def stack_file(self, stack: str) -> Path:
        """The stack's configuration file."""
        return self.stack_config_dir / f"Pulumi.{stack}.yaml"


def _config(declared: Any, project: str, path: Path) -> Iterator[tuple[str, str]]:
    """Yield the values that the project gives its stacks: ``key: value``, or ``key: {value or default: …}``."""
    if not isinstance(declared, dict):
        raise InputError("`config` isn't a mapping", where=str(path))
    for key, given in declared.items():
        about = given if isinstance(given, dict) else {"value": given}
        if about.get("secret"):
            raise UnsupportedError(
                f"a secret in the project's config ({key}) isn't supported by the embedded engine",
                where=str(path),
                fix="set it in each stack, or use --engine pulumi",
            )
        value = about.get("value", about.get("default"))
        if value is not None:
            yield key if ":" in str(key) else f"{project}:{key}", as_text(value)


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("there is no Pulumi.yaml here", where=str(path)) from None
    except YAMLError as error:
        raise InputError("not YAML", where=str(path), why=str(error)) from error
    if not isinstance(document, dict):
        raise InputError("not a mapping", where=str(path))
    return document
