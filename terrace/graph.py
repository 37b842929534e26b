"""Orders slots by what their flavors require."""

from __future__ import annotations

import graphlib
from typing import TYPE_CHECKING

from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.catalog import Catalog
    from terrace.resolve import Blueprint


def order(blueprint: Blueprint, catalog: Catalog) -> tuple[str, ...]:
    """Return the blueprint's slots, each after all that it requires or uses.

    Raises:
        InputError: A required slot has no flavor, or the requirements form a circle.
    """
    requires: dict[str, set[str]] = {}
    for slot, spec in sorted(blueprint.slots.items()):
        flavor = catalog.component(slot, spec.flavor)
        for required in flavor.requires:
            if required not in blueprint.slots:
                raise InputError(
                    f"{slot}.flavor {spec.flavor!r} requires the slot {required!r}, which has no flavor",
                    fix=f"Add `{required}:` to terrace:platform, or choose another flavor for {slot}.",
                )
        requires[slot] = {*flavor.requires, *(used for used in flavor.uses if used in blueprint.slots)}
    try:
        return tuple(graphlib.TopologicalSorter(requires).static_order())
    except graphlib.CycleError as error:
        circle = " → ".join(reversed(error.args[1]))
        raise InputError(
            "slots require each other in a circle", why=circle, fix="Choose another flavor for one of them."
        ) from None
