"""Either engine goes on where the other stopped: nothing to change, nothing replaced. Needs the Pulumi CLI."""

from __future__ import annotations

from tests.kubernetes.cases import CASES, everything, text_of
from tests.kubernetes.cli import by_cli, needed
from tests.kubernetes.states import comparable, recorded
from tests.kubernetes.world import World, decisions, steps

pytestmark = needed
UP = ("up", "--yes", "--skip-preview")
CHANGES = {name: what for name, (*_, what) in CASES.items()}


def test_the_cli_goes_on_where_the_embedded_engine_stopped(world: World) -> None:
    first, second = (text_of(everything, world.namespace, pick) for pick in (0, 1))
    assert set(steps(world.up(everything(world.namespace, 0))).values()) == {"create"}
    assert by_cli(world, first, "preview") == {}
    assert by_cli(world, first, "refresh", "--yes", "--skip-preview") == {}
    assert by_cli(world, first, "preview") == {}
    assert by_cli(world, second, *UP) == CHANGES
    assert steps(world.preview(everything(world.namespace, 1))) == {}
    assert steps(world.refresh()) == {}
    assert world.destroy().ok


def test_the_embedded_engine_goes_on_where_the_cli_stopped(world: World) -> None:
    first, second = (text_of(everything, world.namespace, pick) for pick in (0, 1))
    assert set(by_cli(world, first, *UP).values()) == {"create"}
    assert comparable(world) == recorded(0)
    assert steps(world.preview(everything(world.namespace, 0))) == {}
    assert steps(world.refresh()) == {}
    assert steps(world.preview(everything(world.namespace, 0))) == {}
    assert steps(world.up(everything(world.namespace, 0))) == {}
    assert decisions(world.up(everything(world.namespace, 1))) == CHANGES
    assert by_cli(world, second, "preview") == {}
    assert by_cli(world, second, "refresh", "--yes", "--skip-preview") == {}
    by_cli(world, second, "destroy", "--yes", "--skip-preview")
    assert world.plane.request("GET", f"/api/v1/namespaces/{world.namespace}") is None
