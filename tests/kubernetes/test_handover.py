"""Either engine goes on where the other stopped: nothing to change, nothing replaced. Needs the Pulumi CLI.

Its provider for Kubernetes has to be on PATH too, since the tests' machines have no way to Pulumi's downloads.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engine_world import _venv
from tests.kubernetes.cases import CASES, everything
from tests.kubernetes.world import World, steps

pytestmark = pytest.mark.skipif(
    not (shutil.which("pulumi") and shutil.which("pulumi-resource-kubernetes")),
    reason="the Pulumi CLI isn't on PATH, or its provider for Kubernetes isn't",
)
_CASES = len(CASES) + 2


def _pulumi(world: World, pick: int, *arguments: str) -> dict[str, int]:
    """Run the CLI on the program; returns how many resources of this package had which step."""
    main = f"from tests.kubernetes.cases import everything\neverything({world.namespace!r}, {pick})()\n"
    (world.root / "__main__.py").write_text(main, encoding="utf-8")
    runtime = f"{{name: python, options: {{toolchain: pip, virtualenv: {_venv(world.root)}}}}}"
    text = f"name: kube\nruntime: {runtime}\nbackend: {{url: 'file://{world.root}'}}\n"
    (world.root / "Pulumi.yaml").write_text(text, encoding="utf-8")
    log = world.root / "events"
    log.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PULUMI_HOME": str(world.root / "home"),
        "PULUMI_CONFIG_PASSPHRASE": "correct horse",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    if not (world.root / ".pulumi/stacks/kube/dev.json").exists():
        subprocess.run(["pulumi", "stack", "init", "dev"], cwd=world.root, env=environment, check=True)
    done = subprocess.run(
        ["pulumi", *arguments, "--stack=dev", "--non-interactive", f"--event-log={log}"],
        cwd=world.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return _counts([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()])


def _counts(events: list[dict[str, Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for event in events:
        metadata = event.get("resourcePreEvent", {}).get("metadata", {})
        if metadata.get("type", "").startswith("kubernetes:"):
            counts[metadata["op"]] = counts.get(metadata["op"], 0) + 1
    return counts


def test_the_cli_goes_on_where_the_embedded_engine_stopped(world: World) -> None:
    assert len(steps(world.up(everything(world.namespace, 0)))) == _CASES
    assert _pulumi(world, 0, "preview") == {"same": _CASES}
    _pulumi(world, 0, "refresh", "--yes")
    assert _pulumi(world, 0, "preview") == {"same": _CASES}
    _check_changes(_pulumi(world, 1, "up", "--yes", "--skip-preview"))
    assert steps(world.preview(everything(world.namespace, 1))) == {}
    assert steps(world.refresh()) == {}
    assert world.destroy().ok


def test_the_embedded_engine_goes_on_where_the_cli_stopped(world: World) -> None:
    assert _pulumi(world, 0, "up", "--yes", "--skip-preview") == {"create": _CASES}
    assert steps(world.preview(everything(world.namespace, 0))) == {}
    assert steps(world.refresh()) == {}
    assert steps(world.up(everything(world.namespace, 0))) == {}
    expected = {name: what for name, (*_, what) in CASES.items()}
    changed = world.up(everything(world.namespace, 1))
    assert changed.ok, changed.errors
    found = {step.urn.rpartition("::")[2]: step.op for step in changed.steps if step.op in ("update", "replace")}
    assert found == expected
    assert _pulumi(world, 1, "preview") == {"same": _CASES}
    _pulumi(world, 1, "destroy", "--yes", "--skip-preview")
    assert world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}") is None


def _check_changes(counts: dict[str, int]) -> None:
    """The CLI updates and replaces what the cases say."""
    wanted = [what for *_, what in CASES.values()]
    assert counts["update"] == wanted.count("update")
    assert counts["replace"] == wanted.count("replace")
