"""The tier table: what each tier asks of each practice, and which slots, flavors, and settings follow from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from ruamel.yaml import YAML

from terrace.hosts import Group
from terrace.spec import Practice, Tier
from terrace.spec_base import Model

if TYPE_CHECKING:
    from terrace.catalog import Catalog

TABLE = Path(__file__).parents[1] / "components" / "tiers.yaml"


def _from_tier_1(value: Any) -> Any:
    return {1: value} if isinstance(value, str) else value


class SlotRow(Model):
    """When a slot is there and which flavor it has by default."""

    practice: Practice = Field(description="The practice that brings the slot.")
    from_tier: Tier = Field(description="The lowest tier of the practice that has the slot.")
    flavors: Mapping[str, Annotated[Mapping[Tier, str], BeforeValidator(_from_tier_1)]] = Field(
        description="Target → tier from which it counts → default flavor; a flavor alone counts from tier 1."
    )
    group: Group = Field("training", description="The group of hosts that takes it; see `hosts` of the spec.")
    settings: Mapping[Tier, Mapping[str, Any]] = Field(
        default_factory=dict, description="Options that change from a tier on."
    )


class Evidence(Model):
    """What in this repository gives a cell.

    Args:
        slot: A slot that must be in the blueprint.
        test: ``file::function`` of the test that proves it.
        file: A file of the repository that gives it.
        configure: A part of ``hosts[].configure`` that must be on for every host.
    """

    slot: str | None = None
    test: str | None = None
    file: str | None = None
    configure: str | None = None

    def __str__(self) -> str:
        if self.configure:
            return f"hosts.configure.{self.configure}"
        return self.test or self.file or f"slot {self.slot}"


class Cell(Model):
    """What one tier asks of one practice, beyond the tier below it.

    A cell without evidence is not covered yet. ``organisational`` cells are stated by an owner, because no machine
    can see them.
    """

    asks: str
    evidence: tuple[Evidence, ...] = ()
    organisational: bool = False


class PracticeRow(Model):
    """One of the fifteen practices."""

    title: str
    processes: tuple[str, ...] = Field(min_length=1, description="The processes that it belongs to.")
    principles: tuple[str, ...] = Field(min_length=1, description="The principles that it serves.")
    cells: Mapping[Tier, Cell]


class TierTable(Model):
    """The whole table, as `components/tiers.yaml` holds it."""

    tiers: Mapping[Tier, str]
    principles: Mapping[str, str]
    processes: Mapping[str, str]
    slots: Mapping[str, SlotRow]
    practices: Mapping[Practice, PracticeRow]

    @staticmethod
    @lru_cache(maxsize=1)
    def load(file: Path = TABLE) -> TierTable:
        """Read the table.

        Raises:
            pydantic.ValidationError: The file is not a tier table (a defect of Terrace).
        """
        return TierTable.model_validate(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))

    def default_flavor(self, slot: str, target: str, tier_of: Callable[[Practice], int]) -> str | None:
        """Return the flavor that a slot has on a target, at its practice's tier, when the user names none."""
        row = self.slots.get(slot)
        if row is None:
            return None
        tier = tier_of(row.practice)
        by_tier = {level: flavor for level, flavor in row.flavors.get(target, {}).items() if level <= tier}
        return by_tier[max(by_tier)] if by_tier else None

    def flavors_on(self, slot: str, target: str, catalog: Catalog) -> tuple[str, ...]:
        """Return the flavors of ``slot`` that run on ``target``; all of them when there is no such target."""
        names = catalog.flavors[slot]
        on_target = tuple(name for name in names if target in catalog.component(slot, name).supports)
        return on_target if target in ("host", "kubernetes", "aws") else names

    def settings(self, slot: str, practices: Mapping[Practice, int]) -> dict[str, tuple[Any, int]]:
        """Return option → (value, tier that sets it) of a slot; a higher tier's value wins.

        Args:
            slot: The slot.
            practices: Each practice's tier.
        """
        row = self.slots.get(slot)
        if row is None:
            return {}
        rows, tier = sorted(row.settings.items()), practices[row.practice]
        return {option: (value, level) for level, options in rows if level <= tier for option, value in options.items()}


OriginKind = Literal["tier", "target", "written", "default"]
