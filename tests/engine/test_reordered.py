"""Some resources are worked on while the others, whose needs have changed, stay as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.engine.engine_world import World

# In the second stage, what was needed needs what needed it.
TURNED = """
if stage == 1:
    a = Thing("a", value=1)
    b = Thing("b", Options(depends_on=[a]), value=1)
else:
    b = Thing("b", value=1)
    a = Thing("a", Options(depends_on=[b]), value=stage)
Thing("c", value=stage)
"""
FREED = """
c = Thing("c", value=stage, fail=["update"])
d = Thing("d", *([Options(depends_on=[c])] if stage == 1 else []), value=1)
"""


@pytest.fixture
def turned(world: World) -> World:
    world.write(TURNED)
    assert world.run("up", 1).ok
    return world


@pytest.mark.parametrize("target", ["b", "c"])
def test_what_is_left_as_it_was_stands_once_in_the_state(turned: World, target: str) -> None:
    result = turned.run("up", 2, targets=(turned.urn(target),))
    assert result.ok, result.errors
    names = sorted(raw["urn"].rpartition("::")[2] for raw in turned.state() if "providers" not in raw["type"])
    assert names == ["a", "b", "c", "parity-dev"]
    assert turned.run("up", 2).ok
    assert turned.run("up", 2).summary.keys() == {"same"}
    assert turned.run("destroy", 2).ok
    assert turned.things() == []


def test_a_target_that_would_need_what_still_needs_it_is_refused(turned: World) -> None:
    before = turned.checkpoint.read_bytes()
    result = turned.run("up", 2, targets=(turned.urn("a"),))
    assert "needs it as it is stored" in str(result.errors)
    assert turned.checkpoint.read_bytes() == before


def test_a_failed_target_leaves_a_state_that_can_be_read(world: World) -> None:
    world.write(FREED)
    assert world.run("up", 1).ok
    assert not world.run("up", 2, targets=(world.urn("c"),)).ok
    world.write(FREED.replace("update", "none"))
    assert world.run("up", 3).ok
    assert world.run("destroy", 3).ok


def _history(world: World) -> list[Path]:
    return list((world.root / ".pulumi/history").rglob("*.history.json"))


def test_a_state_that_vanished_is_not_an_empty_stack(turned: World) -> None:
    turned.checkpoint.unlink()
    assert _history(turned)
    with pytest.raises(Exception, match="the file is missing") as caught:
        turned.run("up", 1)
    assert "the last good backup is" in str(caught.value)
    assert turned.things() == ["a", "b", "c"]


def test_a_state_that_was_emptied_is_not_an_empty_stack(turned: World) -> None:
    document = json.loads(turned.checkpoint.read_bytes())
    del document["checkpoint"]["latest"]
    turned.checkpoint.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(Exception, match="it has no deployment"):
        turned.run("up", 1)


@pytest.mark.parametrize("damage", ["order", "shape"])
def test_an_edited_state_is_told_with_the_last_good_backup(turned: World, damage: str) -> None:
    document = json.loads(turned.checkpoint.read_bytes())
    resources = document["checkpoint"]["latest"]["resources"]
    if damage == "order":
        resources.reverse()
    else:
        resources[-1]["dependencies"] = 5
    turned.checkpoint.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(Exception, match="the state is damaged") as caught:
        turned.run("up", 1)
    assert "the last good backup is" in str(caught.value)
