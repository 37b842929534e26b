"""Runs a world's program by the Pulumi CLI and by Pulumi's own provider for Kubernetes, where both are on PATH.

The provider has to be there too, since the tests' machines have no way to Pulumi's downloads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from tests.engine.engine_world import REPOSITORY, python_with_pip
from tests.kubernetes.world import World

needed = pytest.mark.skipif(
    not (shutil.which("pulumi") and shutil.which("pulumi-resource-kubernetes")),
    reason="the Pulumi CLI isn't on PATH, or its provider for Kubernetes isn't",
)


def by_cli(world: World, program: str, *arguments: str) -> dict[str, str]:
    """Run the CLI.

    Args:
        world: Whose stack it works on.
        program: The text of the program.
        arguments: Those of the CLI, the command first.

    Returns:
        What happened, by logical names: `create`, `update`, `replace`, `delete`, … of each resource that didn't stay.
    """
    (world.root / "__main__.py").write_text(program, encoding="utf-8")
    runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {python_with_pip(world.root)}}}}}"
    text = f"name: kube\nruntime: {runtime}\nbackend: {{url: 'file://{world.root}'}}\n"
    (world.root / "Pulumi.yaml").write_text(text, encoding="utf-8")
    if not (world.root / ".pulumi/stacks/kube/dev.json").exists():
        _run(world, "stack", "init")
    log = world.root / "events"
    log.unlink(missing_ok=True)
    _run(world, *arguments, f"--event-log={log}")
    return _happened([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()])


def _run(world: World, *arguments: str) -> None:
    environment = {
        **os.environ,
        "PULUMI_HOME": str(world.root / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
        "PYTHONPATH": str(REPOSITORY),
    }
    done = subprocess.run(
        ["pulumi", *arguments, "--stack=dev", "--non-interactive"],
        cwd=world.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"pulumi {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}"


def _happened(events: list[dict[str, Any]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for event in events:
        # A refresh tells only afterwards what it found.
        metadata = event.get("resourcePreEvent", event.get("resOutputsEvent", {})).get("metadata", {})
        parts = ("same", "refresh", "create-replacement", "delete-replaced")
        if metadata and not metadata["type"].startswith("pulumi:") and metadata["op"] not in parts:
            found[metadata["urn"].rpartition("::")[2]] = metadata["op"]
    return found
