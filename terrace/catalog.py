"""Finds flavors: a file each, ``components/<slot>/<flavor>.py``. Names come from files; modules load when used."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrace.errors import OperationError

if TYPE_CHECKING:
    from components.base import Component, FlavorSpec

COMPONENTS = Path(__file__).parents[1] / "components"


@dataclass(frozen=True)
class Catalog:
    """The flavors of every slot.

    Args:
        root: The folder that holds a folder per slot.
        package: The name that the folder is imported by.
    """

    root: Path = COMPONENTS
    package: str = "components"
    _loaded: dict[tuple[str, str], type[Component[Any, Any]]] = field(default_factory=dict, compare=False)

    @cached_property
    def flavors(self) -> Mapping[str, tuple[str, ...]]:
        """Slot → names of its flavors, both in alphabetical order."""
        slots = sorted(folder for folder in self.root.iterdir() if (folder / "__init__.py").is_file())
        return {slot.name: tuple(sorted(file.stem for file in slot.glob("[a-z]*.py"))) for slot in slots}

    def component(self, slot: str, flavor: str) -> type[Component[Any, Any]]:
        """Import a flavor's module and return its component class.

        Raises:
            OperationError: The module breaks the contract of a flavor (a defect of the flavor).
        """
        key = (slot, flavor)
        if key not in self._loaded:
            self._loaded[key] = self._load(slot, flavor)
        return self._loaded[key]

    def spec_type(self, slot: str, flavor: str) -> type[FlavorSpec]:
        """Return the class that a flavor's options are read into."""
        return self.component(slot, flavor).spec_type

    def _load(self, slot: str, flavor: str) -> type[Component[Any, Any]]:
        from components.base import Component

        name = f"{self.package}.{slot}.{flavor}"
        module = importlib.import_module(name)
        found = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and issubclass(value, Component) and value.__module__ == name
        ]
        if len(found) != 1:
            raise _broken(name, f"it has {len(found)} components instead of one")
        component = found[0]
        if component.spec_type.model_fields["flavor"].default != flavor:
            raise _broken(name, f"its spec's `flavor` is not {flavor!r}")
        if not component.token.startswith(f"terrace:{slot}:"):
            raise _broken(name, f"its token {component.token!r} does not begin with 'terrace:{slot}:'")
        return component


def _broken(module: str, why: str) -> OperationError:
    return OperationError(
        f"{module} is not a flavor", why=why, fix="Follow docs/adding-a-flavor.md; each flavor is one file."
    )
