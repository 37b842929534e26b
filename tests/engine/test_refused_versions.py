"""The platform on the embedded engine, where a service would go back to a version that cannot read its data."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from terrace import host_facts
from terrace.cli.operations import embedded
from terrace.engine.project import Project

ROOT = Path(__file__).parents[2]


def test_nothing_of_a_host_is_planned_that_would_take_a_service_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.setattr(host_facts, "DATA", tmp_path)
    (tmp_path / "local" / "versions").mkdir(parents=True)
    (tmp_path / "local" / "versions" / "mlflow").write_text("99.0")
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    (tmp_path / "stacks").mkdir()
    shutil.copy(ROOT / "stacks" / "__main__.py", tmp_path / "stacks")
    # The checkout's own may have been brought up, and be locked with its passphrase.
    stack = "config: {terrace:tier: 3, terrace:target: host, terrace:platform: {name: platform}}\n"
    (tmp_path / "stacks" / "Pulumi.local.yaml").write_text(stack)

    planned = embedded(Project.load(tmp_path), "local").preview()

    assert not planned.ok
    (error,) = planned.errors
    assert "mlflow can't go back from mlflow 99.0 to " in error.message
    assert [step.urn for step in planned.steps if "terrace:Host" in step.urn and step.op != "same"] == []
