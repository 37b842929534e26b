"""The embedded engine does what the Pulumi CLI was seen to do (``record.py`` wrote it down)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engine_cases import CASES
from tests.engine.engine_world import World

RECORDED = {path.stem: path for path in sorted((Path(__file__).parent / "recorded").glob("*.json"))}


def test_every_case_is_recorded() -> None:
    assert RECORDED
    assert set(RECORDED) == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_does_what_pulumi_does(case: str, tmp_path: Path) -> None:
    recorded: list[dict[str, Any]] = json.loads(RECORDED[case].read_text(encoding="utf-8"))["outcomes"]
    assert [(outcome["operation"], outcome["stage"]) for outcome in recorded] == CASES[case]
    world = World(tmp_path, case)
    for number, outcome in enumerate(recorded):
        operation, stage = outcome.pop("operation"), outcome.pop("stage")
        found = json.loads(json.dumps(world.embedded(operation, stage)))  # no tuples
        if "summary" not in outcome:  # recorded without the CLI's event log, so its steps weren't seen
            for part in ("steps", "summary"):
                found.pop(part, None)
                outcome.pop(part, None)
        for part in outcome | found:
            assert found[part] == outcome[part], f"outcome {number} ({operation} at stage {stage}): {part}"
