"""The embedded engine does what the Pulumi CLI was seen to do (``record.py`` wrote it down)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engine_cases import CASES, Do
from tests.engine.engine_world import World

DONE = [field.name for field in dataclasses.fields(Do)]
RECORDED = {path.stem: path for path in sorted((Path(__file__).parent / "recorded").glob("*.json"))}


def test_every_case_is_recorded() -> None:
    assert RECORDED
    assert set(RECORDED) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_does_what_pulumi_does(case: str, tmp_path: Path) -> None:
    recorded: list[dict[str, Any]] = json.loads(RECORDED[case].read_text(encoding="utf-8"))["outcomes"]
    done = [Do(*(outcome.pop(name) for name in DONE)) for outcome in recorded]
    assert done == CASES[case]
    world = World(tmp_path, case)
    for number, (do, outcome) in enumerate(zip(done, recorded, strict=True)):
        found = json.loads(json.dumps(world.embedded(do)))  # no tuples
        for part in outcome | found:
            assert found[part] == outcome[part], f"outcome {number}, {do}: {part}"
