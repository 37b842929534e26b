"""A project on the platform as its developer has it, and hashes as DVC makes them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from terrace.demo import find_uv
from tests.host.conftest import ROOT


@dataclass(frozen=True)
class Project:
    """The example's checkout, with its locked environment.

    Attributes:
        folder: Where its ``pyproject.toml`` stands.
        variables: The environment variables of its commands, the platform's connection among them.
    """

    folder: Path
    variables: Mapping[str, str]

    def flights(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run ``flights <words>`` in its folder."""
        return self.run("flights", *words, folder=self.folder)

    def run(self, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
        """Run a program of its environment in ``folder``."""
        variables = {name: value for name, value in self.variables.items() if name != "VIRTUAL_ENV"}
        command = [find_uv(ROOT), "run", "--frozen", "--project", str(self.folder), *words]
        return subprocess.run(
            command,
            cwd=folder,
            env={**variables, "GIT_CONFIG_GLOBAL": os.devnull},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


def directory_hash(folder: Path) -> str:
    """Return DVC's hash of a folder, made here from the files alone: the MD5 of its sorted list of files' MD5s."""
    files = [
        {"md5": hashlib.md5(path.read_bytes()).hexdigest(), "relpath": path.relative_to(folder).as_posix()}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    return hashlib.md5(json.dumps(files, sort_keys=True).encode()).hexdigest() + ".dir"
