"""A copy of this project's stacks with an environment for a cluster, driven through its command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Project:
    """The copy.

    Args:
        root: An empty folder for it, and the commands' home.
        tier: The tier.
        cluster: What its spec says of ``kubernetes``, as the inside of a mapping in YAML.
        edit: Has the last word on the stack file.
    """

    def __init__(self, root: Path, tier: int, cluster: str, edit: Callable[[str], str] = str) -> None:
        self.root = root
        shutil.copytree(ROOT / "stacks", root / "stacks", ignore=shutil.ignore_patterns("__pycache__", ".venv"))
        shutil.copy(ROOT / "Pulumi.yaml", root / "Pulumi.yaml")
        self.file = root / "stacks" / "Pulumi.cluster.yaml"
        text = (root / "stacks" / "Pulumi.local.yaml").read_text(encoding="utf-8")
        for old, new in (
            ("terrace:tier: 3", f"terrace:tier: {tier}"),
            ("terrace:target: host", "terrace:target: kubernetes"),
        ):
            assert old in text
            text = text.replace(old, new)
        text += f"    kubernetes: {{{cluster}}}\n"
        self.file.write_text(edit(text), encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of Terrace."""
        return subprocess.run(
            [sys.executable, "-m", "terrace", *arguments, "--project", str(self.root)],
            env={**os.environ, "HOME": str(self.root), "NO_COLOR": "1"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed, and return what it printed as data."""
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)
