"""The Pulumi CLI runs a policy pack on a stack of the embedded engine, which goes on after it."""

from __future__ import annotations

import json
import shutil
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.engine.engine_cases import Do
from tests.engine.engine_world import World

pytestmark = pytest.mark.skipif(
    shutil.which("pulumi") is None,
    reason="the Pulumi CLI isn't on PATH; https://www.pulumi.com/docs/install/ says how to get it",
)
UP = "up", "--yes", "--parallel=1"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pack beside an environment of its own: `pulumi-policy` wants an older protobuf than the project's."""
    folder = tmp_path_factory.mktemp("pack") / "policies"
    shutil.copytree(Path(__file__).parent / "policy_pack", folder)
    venv.create(folder / "venv", with_pip=True, symlinks=True)
    subprocess.run([folder / "venv/bin/pip", "install", "--quiet", "-r", folder / "requirements.txt"], check=True)
    return folder


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A stack that the embedded engine brought up."""
    world = World(tmp_path / "both", "basic")
    assert world.embedded(Do("up", 1))["ok"]
    return world


def test_a_pack_sees_each_resource_and_the_whole_stack(world: World, pack: Path) -> None:
    told = _violations(world, "preview", pack, stage=1)
    assert told == [("warns", "advisory", "b", "listens on 5432"), ("counts", "advisory", "parity-dev", "a, b, c")]


def test_what_a_pack_lets_through_the_embedded_engine_finds_unchanged(world: World, pack: Path) -> None:
    world.cli(*UP, f"--policy-pack={pack}")
    before = world.state()
    again = world.embedded(Do("up", 1))
    assert (again["ok"], {step for _, step in again["steps"]}, again["calls"]) == (True, {"same"}, [])
    assert again["state"] == before


def test_what_a_pack_refuses_stays_as_the_embedded_engine_left_it(world: World, pack: Path) -> None:
    before, things = world.state(), world.things()
    world.set_stage(2)
    refused = world.cli(*UP, f"--policy-pack={pack}", check=False)
    assert refused.returncode != 0
    assert "has the value 2" in refused.stdout
    assert (world.state(), world.things()) == (before, things)
    assert world.embedded(Do("up", 2))["ok"]


def _violations(world: World, operation: str, pack: Path, stage: int) -> list[tuple[str, str, str, str]]:
    """What the pack told: rule, strictness, resource, and message."""
    world.set_stage(stage)
    log = world.root / "events"
    world.cli(operation, f"--policy-pack={pack}", f"--event-log={log}")
    events: list[dict[str, Any]] = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    told = [event["policyEvent"] for event in events if "policyEvent" in event]
    return [
        (
            each["policyName"],
            each["enforcementLevel"],
            each.get("resourceUrn", "").rpartition("::")[2],
            each["message"].strip().rpartition("\n")[2],
        )
        for each in told
    ]
