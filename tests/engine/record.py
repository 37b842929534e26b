"""Record what the Pulumi CLI does with each program: ``python -m tests.engine.record [case…]``."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.engine.engine_cases import CASES
from tests.engine.engine_world import World

RECORDED = Path(__file__).parent / "recorded"


def record(case: str, root: Path) -> None:
    """Run a case with the CLI on PATH and keep what came out."""
    version = subprocess.run(["pulumi", "version"], capture_output=True, text=True, check=True).stdout.strip()
    world = World(root / case, case)
    outcomes = [{**dataclasses.asdict(do), **world.pulumi(do)} for do in CASES[case]]
    document = {"pulumi": version, "outcomes": outcomes}
    (RECORDED / f"{case}.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or CASES:
            print(name)
            record(name, Path(folder))
