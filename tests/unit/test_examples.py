"""The project's own stack files, and the flavors that they end up with."""

from __future__ import annotations

from pathlib import Path

import pytest

from terrace import config, graph
from terrace.catalog import Catalog
from terrace.resolve import resolve
from terrace.tiers import TierTable

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = config.environments(ROOT)


def test_the_design_s_environments_are_there() -> None:
    assert set(ENVIRONMENTS) >= {"local", "dev", "staging", "prod"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_stack_file_resolves(environment: str) -> None:
    blueprint = resolve(config.load(ROOT, environment))

    asked = {slot for slot, row in TierTable.load().slots.items() if row.from_tier <= blueprint.tier}
    assert asked <= set(blueprint.slots)
    order = graph.order(blueprint, Catalog())
    assert sorted(order) == sorted(blueprint.slots)
    assert order.index("database") < order.index("tracking") < order.index("pipelines")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_editor_finds_the_schema(environment: str) -> None:
    file = ROOT / "stacks" / f"Pulumi.{environment}.yaml"

    first = file.read_text(encoding="utf-8").splitlines()[0]

    _, _, address = first.partition("# yaml-language-server: $schema=")
    assert (file.parent / address).is_file()
