"""Reads ``Pulumi.yaml``."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """

    name: str
    root: Path
    main: Path
    stack_config_dir: Path
    backend_url: str = DEFAULT_BACKEND
    description: str | None = None

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
        )

    def stack_file(self, stack: str) -> Path:
        """The stack's configuration file."""
        return self.stack_config_dir / f"Pulumi.{stack}.yaml"


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
