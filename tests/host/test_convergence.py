"""A second run changes nothing, check mode changes nothing, and what has drifted is brought back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.host.conftest import ENVIRONMENT, ROOT, Platform
from tests.host.machine import program_pids


def _playbook(inventory: Path, *options: str) -> str:
    """Run the site's playbook and return its recap of changes and failures."""
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "playbooks/site.yml", *options],
        cwd=ROOT / "ansible",
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible" / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    recap = re.search(r"changed=\d+ +unreachable=\d+ +failed=\d+", done.stdout)
    assert recap, done.stdout[-2000:]
    changes = "\n".join(re.findall(r"TASK \[.*?\] \*+\nchanged: .*", done.stdout))
    return " ".join(recap.group().split()) + (f"\n{changes}" if "changed=0" not in recap.group() else "")


@pytest.fixture
def inventory(outputs: dict[str, Any], tmp_path: Path) -> Path:
    file = tmp_path / "inventory.json"
    file.touch(mode=0o600)
    file.write_text(json.dumps(outputs["inventory"]), encoding="utf-8")
    return file


def test_nothing_is_to_do_after_up(platform: Platform) -> None:
    before = program_pids(ENVIRONMENT)
    assert before
    result = platform.json("up", ENVIRONMENT, "--yes")
    assert set(result["summary"]) == {"same"}
    assert program_pids(ENVIRONMENT) == before, "nothing is restarted"
    assert platform.json("preview", ENVIRONMENT)["summary"].keys() == {"same"}


def test_the_playbook_alone_converges_without_a_change(inventory: Path) -> None:
    assert _playbook(inventory) == "changed=0 unreachable=0 failed=0"


@pytest.mark.drill
def test_check_mode_finds_nothing_to_do(inventory: Path) -> None:
    assert _playbook(inventory, "--check") == "changed=0 unreachable=0 failed=0"


def test_a_preview_tells_what_would_change_and_changes_nothing(platform: Platform) -> None:
    before = platform.stack_file.read_text(encoding="utf-8")
    platform.edit("pipelines: {flavor: airflow,", "pipelines: {flavor: airflow, keep_runs: 33,")
    try:
        plan = platform.json("preview", ENVIRONMENT)
        changed = [step["urn"].rsplit("::", 1)[1] for step in plan["steps"] if step["op"] == "update"]
        assert changed == ["airflow-service"]
        deployed = json.loads(Path(f"/etc/terrace/{ENVIRONMENT}/airflow/environment.json").read_text(encoding="utf-8"))
        assert deployed["PIPELINES_KEEP_RUNS"] != "33"
    finally:
        platform.stack_file.write_text(before, encoding="utf-8")


def test_drift_is_found_and_repaired(platform: Platform) -> None:
    file = Path(f"/etc/terrace/{ENVIRONMENT}/prometheus/prometheus.yml")
    content = file.read_text(encoding="utf-8")
    file.write_text(content + "# drifted\n", encoding="utf-8")
    platform.terrace("refresh", ENVIRONMENT)
    plan = platform.json("preview", ENVIRONMENT)
    assert [step["urn"].rsplit("::", 1)[1] for step in plan["steps"] if step["op"] != "same"] == ["prometheus-service"]
    assert file.read_text(encoding="utf-8") != content, "a refresh looks and changes nothing"
    platform.terrace("up", ENVIRONMENT, "--yes")
    assert file.read_text(encoding="utf-8") == content
