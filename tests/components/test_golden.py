"""The plan of every tier, reviewed like code. After a wanted change: ``pytest tests/components --snapshot-update``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from tests.components.recording import Recorded, blueprint, plan, shortened


def _shown(resource: Recorded) -> dict[str, Any]:
    inputs = {**resource.inputs}
    if "variables" in inputs:
        inputs["variables"] = json.loads(inputs["variables"])
        inputs["content"] = "[digest of the role's files]"
    return shortened({"parent": resource.parent.rpartition("::")[2], **inputs})


@pytest.mark.parametrize("tier", range(1, 6))
def test_the_plan_is_the_reviewed_one(tier: int, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    planned = {resource.urn: _shown(resource) for resource in plan(blueprint(tier, tmp_path))}
    assert planned == snapshot(extension_class=JSONSnapshotExtension, name=f"host-tier-{tier}")


@pytest.mark.parametrize("tier", range(1, 6))
def test_the_plan_for_a_cluster_is_the_reviewed_one(tier: int, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    planned = {resource.urn: _shown(resource) for resource in plan(blueprint(tier, tmp_path, target="kubernetes"))}
    assert planned == snapshot(extension_class=JSONSnapshotExtension, name=f"kubernetes-tier-{tier}")
