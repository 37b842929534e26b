"""Slots and flavors made up for a test, in place of those of the catalog."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pydantic import create_model

from components.base import FlavorSpec
from terrace import config, stackfile
from terrace.config import LoadedSpec
from terrace.tiers import SlotRow, TierTable


def flavor(slot: str, name: str, **about: Any) -> SimpleNamespace:
    """Return what stands for a component class: ``options`` are its spec's fields with their defaults."""
    options = {option: (type(default), default) for option, default in about.pop("options", {}).items()}
    spec_type = create_model(f"{name}Spec", __base__=FlavorSpec, flavor=(str, name), **options)
    given = {"requires": (), "uses": (), "beside": "", "supports": ("host",)} | about
    return SimpleNamespace(slot=slot, name=name, spec_type=spec_type, **given)


class FakeCatalog:
    """The flavors that it is given."""

    def __init__(self, *flavors: SimpleNamespace) -> None:
        self._flavors = {(one.slot, one.name): one for one in flavors}

    @property
    def flavors(self) -> Mapping[str, tuple[str, ...]]:
        slots = sorted({slot for slot, _ in self._flavors})
        return {slot: tuple(sorted(name for of, name in self._flavors if of == slot)) for slot in slots}

    def component(self, slot: str, name: str) -> Any:
        return self._flavors[slot, name]

    def spec_type(self, slot: str, name: str) -> Any:
        return self.component(slot, name).spec_type


def table(**slots: Mapping[str, Any]) -> TierTable:
    """Return the real tier table with other slots."""
    rows = {slot: SlotRow.model_validate({"practice": "model_deployment", **row}) for slot, row in slots.items()}
    return TierTable.load().model_copy(update={"slots": rows})


def load(folder: Path, text: str, catalog: Any, tiers: TierTable) -> LoadedSpec:
    """Read a stack file's text."""
    file = folder / "Pulumi.case.yaml"
    file.write_text(text, encoding="utf-8")
    return config.parse(stackfile.read(file, file.name), "case", catalog, tiers)


def stack(platform: str = "", tier: int = 3, target: str = "host") -> str:
    """Return a stack file; the lines of ``platform`` begin in line 5, each indented by 4."""
    lines = "".join(f"    {line}\n" for line in platform.splitlines())
    return f"config:\n  terrace:tier: {tier}\n  terrace:target: {target}\n  terrace:platform:\n{lines}"
