"""Both engines in one run: the same program gives the same, and each goes on where the other stopped.

Where the Pulumi CLI isn't there, what it was seen to do stands in ``recorded`` (see `test_recorded`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engine_cases import CASES, Do
from tests.engine.engine_world import World

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None,
    reason="the Pulumi CLI isn't on PATH; https://www.pulumi.com/docs/install/ says how to get it",
)
TURNS = ["basic", "delete_first", "components", "secret_values", "aliases", "changes", "transforming", "references"]


@pytest.mark.parametrize("case", CASES)
def test_the_same_program_gives_the_same(case: str, tmp_path: Path) -> None:
    ours, theirs = World(tmp_path / "ours", case), World(tmp_path / "theirs", case)
    for number, do in enumerate(CASES[case]):
        expected, found = theirs.pulumi(do), ours.embedded(do)
        for part in expected:
            assert found[part] == expected[part], f"outcome {number}, {do}: {part}"
        if ours.checkpoint_of(do.stack).exists():
            assert _shape(ours, do.stack) == _shape(theirs, do.stack)


@pytest.mark.parametrize("case", TURNS)
@pytest.mark.parametrize("first", ["embedded", "pulumi"])
def test_each_goes_on_where_the_other_stopped(case: str, first: str, tmp_path: Path) -> None:
    world = World(tmp_path / "both", case)
    engines = [world.embedded, world.pulumi] if first == "embedded" else [world.pulumi, world.embedded]
    for number, do in enumerate(CASES[case]):
        done = engines[number % 2](do)
        if do.operation == "up":
            assert done["ok"]
            again = engines[(number + 1) % 2](do)
            assert again["ok"]
            assert {step for _, step in again["steps"]} <= {"same", "read"}, f"after {do}"
            assert (again["calls"], again["state"]) == ([], done["state"])


def test_a_state_of_the_embedded_engine_passes_the_clis_own_check(tmp_path: Path) -> None:
    world = World(tmp_path / "both", "components")
    assert world.embedded(Do("up", 1))["ok"]
    exported = json.loads(world.cli("stack", "export").stdout)
    file = tmp_path / "exported.json"
    file.write_text(json.dumps(exported), encoding="utf-8")
    world.cli("stack", "import", f"--file={file}")
    assert world.embedded(Do("up", 1))["summary"] == {"same": 6}


def _shape(world: World, stack: str) -> dict[str, Any]:
    """The checkpoint without its values."""
    document = json.loads(world.checkpoint_of(stack).read_bytes())
    checkpoint = document.pop("checkpoint")
    latest = checkpoint.pop("latest")
    return {
        "document": document,
        "checkpoint": checkpoint,
        "latest": {key: value for key, value in latest.items() if key not in ("manifest", "resources")},
        "manifest": sorted(latest["manifest"]),
    }
